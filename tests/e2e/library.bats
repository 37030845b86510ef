#!/usr/bin/env bats
# libfluvio as its users get it: installed below a prefix of its own, found
# with pkg-config, its headers read by C11 and C++17, its examples compiled
# and run against a server.

load lib.bash

RELEASE=$ROOT/build/release
STRICT="-Wall -Wextra -Werror -pedantic -O1 -g"
# Leaks of the library count, too: the heap is the program's.
STRICT+=" -fsanitize=address,undefined -fno-sanitize-recover=all"

setup_file() {
    TREE=$(mktemp -d "${BATS_TMPDIR:-/tmp}/fluvio-library.XXXXXX")
    export TREE
    cmake --build "$RELEASE" --target libfluvio libfluvio_static \
        >"$TREE/log" 2>&1 &&
        cmake --install "$RELEASE" --prefix "$TREE/usr" --component lib \
            >>"$TREE/log" 2>&1 &&
        cmake --install "$RELEASE" --prefix "$TREE/usr" --component dev \
            >>"$TREE/log" 2>&1 || {
        tail -n 40 "$TREE/log" >&2
        return 1
    }
    LIB=$(dirname "$(find "$TREE/usr" -name libfluvio.so)")
    PKG_CONFIG_PATH=$LIB/pkgconfig
    export LIB PKG_CONFIG_PATH
    cluster_up
}

teardown_file() {
    home_down
    rm -rf "$TREE"
}

# compile STD OUT FILE...: as the page says.
compile() {
    local std=$1 out=$2 cc=gcc language=c
    shift 2
    case $std in c++*) cc=g++ language=c++ ;; esac
    # shellcheck disable=SC2046,SC2086
    "$cc" -x "$language" -std="$std" $STRICT -o "$out" "$@" -x none \
        $(pkg-config --cflags --libs fluvio) -Wl,-rpath,"$LIB"
}

# built NAME: the paths of an example, in C and in C++.
built() {
    local std
    for std in c11 c++17; do
        [ -x "$TREE/$1-$std" ] ||
            compile "$std" "$TREE/$1-$std" "$ROOT/examples/c/$1.c"
        echo "$TREE/$1-$std"
    done
}

@test "the library has the functions of its headers, and no others" {
    "$ROOT/scripts/api" --check "$LIB/libfluvio.so"
    run -0 readelf -d "$LIB/libfluvio.so"
    local version
    version=$(pkg-config --modversion fluvio)
    [[ $output == *"soname: [libfluvio.so.${version%.*}]"* ]]
}

@test "each header is C11 and C++17 by itself" {
    local header std
    for header in "$TREE"/usr/include/fluvio/*.h; do
        case $header in *smartmodule*) continue ;; esac
        for std in c11 c++17; do
            echo "#include <fluvio/${header##*/}>
int main(void) { return 0; }" >"$TREE/one.c"
            compile "$std" "$TREE/one" "$TREE/one.c"
        done
    done
}

@test "async: ten records there and back" {
    fluvio topic create async
    local program paths
    paths=$(built async)
    for program in $paths; do
        run -0 "$program" async
        [ "${#lines[@]}" -eq 10 ]
        [[ ${lines[9]} == "read offset "*": record 9" ]]
    done
    run -1 "$program" missing
    [[ $output == *"Topic not found: missing"* ]]
}

@test "produce and consume: lines there and back, keys too" {
    fluvio topic create lines -p 2
    local program
    for program in $(built produce); do
        run -0 "$program" lines <<<$'one\ntwo\nthree'
        [[ $output == "3 records, 11 bytes, "*" batches, 0 retries, p99 "* ]]
        run -0 "$program" lines color <<<red
    done
    run -1 "$program" missing </dev/null
    [ "$output" = "produce: Topic not found: missing" ]
    for program in $(built consume); do
        run -0 "$program" lines
        [ "${#lines[@]}" -eq 8 ]
        [[ $output == *:?*" [color] red"* ]]
    done
    # Until it is interrupted.
    "$program" lines follow >"$TREE/followed" &
    local pid=$!
    until_true 20 has_lines "$TREE/followed" 8
    fluvio produce lines <<<late
    until_true 20 grep -q late "$TREE/followed"
    kill -INT "$pid"
    ends_with 0 "$pid"
}

@test "admin: a topic is made, listed and deleted" {
    local program
    for program in $(built admin); do
        run -0 "$program" "$(address)" brief 3
        [[ $output == *"brief: 3 partitions, compression any"* ]]
    done
    run -0 fluvio topic list
    [[ $output != *brief* ]]
    fluvio topic create there
    run -0 "$program" "$(address)" there 1
    [[ $output == *"already exists"* ]]
    run -1 "$program" 127.0.0.1:1 x 1
    [[ $output == "admin: "*127.0.0.1:1* ]]
}

@test "offsets: each run goes on where the last one stored" {
    fluvio topic create work
    seq 1 10 | fluvio produce work
    local program
    for program in $(built offsets); do
        run -0 "$program" work "${program##*-}" 4
        [ "$output" = "$(seq 1 4)" ]
        run -0 "$program" work "${program##*-}" 9
        [ "$output" = "$(seq 5 10)" ]
        run -0 "$program" work "${program##*-}" 9
        [ -z "$output" ]
        run -1 bash -c "'$program' work 'full-${program##*-}' 9 >/dev/full"
    done
    run -0 fluvio consumer list
    [[ $output == *c11* && $output == *c++17* ]]
}

@test "a profile with TLS needs nothing of the program" {
    [ -d "$HOME/pki" ] || "$ROOT/tests/pki.sh" "$HOME/pki"
    local pki=$HOME/pki sc spu pid ready program
    read -r sc spu < <(free_ports)
    coproc TLS { exec fluvio-server --data-dir "$HOME/tls" --sc-port "$sc" \
        --spu-port "$spu" --advertise 127.0.0.1 --log-level error \
        --tls-cert "$pki/server.crt" --tls-key "$pki/server.key" \
        --tls-client-ca "$pki/ca.crt"; }
    pid=$TLS_PID
    read -r -t 20 ready <&"${TLS[0]}"
    [[ $ready == ready* ]]
    cat >"$TREE/tls-profile" <<EOF
version = "2.0"
current_profile = "tls"
[profile.tls]
cluster = "tls"
[cluster.tls]
endpoint = "127.0.0.1:$sc"
[cluster.tls.tls]
tls_policy = "verified"
tls_source = "files"
[cluster.tls.tls.certs]
domain = "fluvio.test"
key = "$pki/alice.key"
cert = "$pki/alice.crt"
ca_cert = "$pki/ca.crt"
EOF
    export FLV_PROFILE_PATH=$TREE/tls-profile
    run -0 fluvio topic create sealed
    for program in $(built produce); do
        run -0 "$program" sealed <<<secret
    done
    for program in $(built consume); do
        run -0 "$program" sealed
        [ "${#lines[@]}" -eq 2 ]
    done
    # Spoken to in the clear, the server hangs up.
    run -1 "$TREE/admin-c11" "127.0.0.1:$sc" x 1
    [[ $output == "admin: "*"127.0.0.1:$sc"* ]]
    kill "$pid"
    ends_with 0 "$pid"
}

@test "the page's first program compiles and runs" {
    fluvio topic create cats
    sed -n "/cat >hello.c <<'END'/,/^    END/p" "$ROOT/docs/libfluvio.md" |
        sed '1d;$d;s/^    //' >"$TREE/hello.c"
    compile c11 "$TREE/hello" "$TREE/hello.c"
    run -0 "$TREE/hello"
    [ "$output" = "stored at offset 0" ]
}

@test "a program of one file is linked with libfluvio.a" {
    # shellcheck disable=SC2046
    gcc -std=c11 -o "$TREE/static" $(pkg-config --cflags fluvio) \
        "$ROOT/examples/c/async.c" "$LIB/libfluvio.a" \
        $(pkg-config --static --libs fluvio | sed 's/-lfluvio//')
    fluvio topic create static
    run -0 "$TREE/static" static
    ! readelf -d "$TREE/static" | grep -q libfluvio
}
