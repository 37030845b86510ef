#!/usr/bin/env bats
# libfluvio as its users get it: installed below a prefix of its own, found
# with pkg-config, its headers read by C11 and C++17, its examples compiled
# and run against a server.

load lib.bash

RELEASE=$ROOT/build/release
STRICT="-Wall -Wextra -Werror -pedantic -O1"

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

@test "a program of one file is linked with libfluvio.a" {
    # shellcheck disable=SC2046
    gcc -std=c11 -o "$TREE/static" $(pkg-config --cflags fluvio) \
        "$ROOT/examples/c/async.c" "$LIB/libfluvio.a" \
        $(pkg-config --static --libs fluvio | sed 's/-lfluvio//')
    fluvio topic create static
    run -0 "$TREE/static" static
    ! readelf -d "$TREE/static" | grep -q libfluvio
}
