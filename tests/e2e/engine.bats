#!/usr/bin/env bats
# Where the build takes the WebAssembly engine from (scripts/wasmtime). The
# programs that fetch and build are stand-ins here: no network, no compiler.

bats_require_minimum_version 1.5.0

setup_file() {
    STUB=$BATS_FILE_TMPDIR/libwasmtime.so
    echo 'int wasmtime_stub;' | cc -shared -fPIC -o "$STUB" -x c -
    export STUB
}

setup() {
    SCRIPT=$BATS_TEST_DIRNAME/../../scripts/wasmtime
    VERSION=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' "$SCRIPT")
    RAN=$BATS_TEST_TMPDIR/ran # one line for each stand-in that ran
    export VERSION RAN XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
    CACHE=$XDG_CACHE_HOME/fluvio-c
    PREBUILT=$CACHE/wasmtime-$VERSION-$(uname -m)
    export PATH=$BATS_TEST_TMPDIR/bin:$PATH
    unset WASMTIME_DIR FLV_WASMTIME RUSTC
    mkdir "$BATS_TEST_TMPDIR/bin"
    : >"$RAN"
    stand_in pkg-config 'exit 1'
    stand_in curl 'echo "curl: (6) no such host" >&2; exit 6'
    stand_in rustc 'echo "rustc 1.98.0 (abc 2026-01-01)"'
    stand_in cargo 'here=$(pwd)
        mkdir -p "$CARGO_TARGET_DIR/include/wasmtime"
        echo "#define WASMTIME_VERSION \"$VERSION\"" \
            >"$CARGO_TARGET_DIR/include/wasmtime.h"
        : >"$CARGO_TARGET_DIR/include/wasmtime/conf.h"
        cp "$STUB" "$CARGO_TARGET_DIR/libwasmtime.so"
        echo "{\"reason\":\"build-script-executed\",\"package_id\":" \
            "\"registry#wasmtime-c-api-impl@$VERSION\"," \
            "\"out_dir\":\"$CARGO_TARGET_DIR\"}"
        echo "{\"reason\":\"compiler-artifact\"," \
            "\"target\":{\"kind\":[\"cdylib\"]}," \
            "\"filenames\":[\"$CARGO_TARGET_DIR/libwasmtime.so\"]}"
        [ -f "$here/Cargo.lock" ]'
}

# stand_in NAME SHELL: a program of that name, in front of the path.
stand_in() {
    printf '#!/bin/sh\necho "%s $*" >>"$RAN"\n%s\n' "$1" "$2" \
        >"$BATS_TEST_TMPDIR/bin/$1"
    chmod +x "$BATS_TEST_TMPDIR/bin/$1"
}

# whole FOLDER: looks like an installation.
whole() {
    mkdir -p "$1/include/wasmtime" "$1/lib"
    touch "$1/include/wasmtime.h" "$1/include/wasmtime/conf.h" \
        "$1/lib/libwasmtime.so"
}

find_engine() {
    run --separate-stderr "$SCRIPT" "$@"
}

# unused PROGRAM...: no stand-in of that name ran.
unused() {
    for name in "$@"; do
        if grep "^$name " "$RAN"; then
            return 1
        fi
    done
}

@test "WASMTIME_DIR comes first, and an incomplete one is refused by name" {
    whole "$BATS_TEST_TMPDIR/mine"
    whole "$PREBUILT"
    WASMTIME_DIR=$BATS_TEST_TMPDIR/mine find_engine
    [ "$status" -eq 0 ]
    [ "$output" = "$BATS_TEST_TMPDIR/mine" ]
    [ ! -s "$RAN" ]
    WASMTIME_DIR=$BATS_TEST_TMPDIR find_engine
    [ "$status" -eq 1 ]
    [[ $stderr == *"WASMTIME_DIR is $BATS_TEST_TMPDIR, but"* ]]
}

@test "what pkg-config knows comes second" {
    whole "$BATS_TEST_TMPDIR/system"
    whole "$PREBUILT"
    stand_in pkg-config 'echo "$BATS_TEST_TMPDIR/system"'
    find_engine
    [ "$status" -eq 0 ]
    [ "$output" = "$BATS_TEST_TMPDIR/system" ]
}

@test "what is kept is taken before anything is fetched" {
    whole "$PREBUILT"
    find_engine
    [ "$output" = "$PREBUILT" ]
    unused curl cargo
}

@test "the crate is built, once, where no library can be fetched" {
    find_engine
    [ "$status" -eq 0 ]
    [[ $output == "$PREBUILT"-cargo-* ]]
    [[ $stderr == *"cannot download https://"*"no such host"*"building"* ]]
    grep -q '^cargo build --release --locked ' "$RAN"
    [ -f "$output/include/wasmtime.h" ]
    [ "$(ls -A "$CACHE")" = "$(basename "$output")
$(basename "$output").lock" ]
    local first=$output
    : >"$RAN"
    find_engine
    [ "$output" = "$first" ]
    unused curl cargo
}

@test "the crate is built for a machine that no library is offered for" {
    run --separate-stderr setarch i686 "$SCRIPT"
    [ "$status" -eq 0 ]
    [[ $output == "$CACHE/wasmtime-$VERSION-i686-cargo-"* ]]
    [[ $stderr == *"is offered for i686, only for x86_64 and aarch64"* ]]
    unused curl
}

@test "FLV_WASMTIME=cargo builds though there is a library, and fetches none" {
    whole "$PREBUILT"
    stand_in pkg-config 'echo "$PREBUILT"'
    FLV_WASMTIME=cargo find_engine
    [ "$status" -eq 0 ]
    [[ $output == "$PREBUILT"-cargo-* ]]
    unused curl
    find_engine # without the word the other one again
    [ "$output" = "$PREBUILT" ]
}

@test "an unknown FLV_WASMTIME is refused" {
    FLV_WASMTIME=crago find_engine
    [ "$status" -eq 1 ]
    [[ $stderr == *"FLV_WASMTIME is 'crago'; it can be 'cargo'"* ]]
}

@test "an old rustc is refused with its version and the fix" {
    stand_in rustc 'echo "rustc 1.96.1 (abc 2025-01-01)"'
    FLV_WASMTIME=cargo find_engine
    [ "$status" -eq 1 ]
    [[ $stderr == *"needs rustc 1.97, and this is rustc 1.96.1 "* ]]
    [[ $stderr == *"rustup"*"RUSTUP_TOOLCHAIN"* ]]
    unused cargo
}

@test "where neither way works, one sentence says why of both" {
    stand_in rustc 'echo "rustc 1.63.0"'
    find_engine --quiet
    [ "$status" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == *"no such host"*"this is rustc 1.63.0"*"WASMTIME_DIR"* ]]
    RUSTC=no-such-rustc find_engine --quiet
    [ "$status" -eq 1 ]
    [[ $stderr == *"needs no-such-rustc, which is missing: install Rust"* ]]
    stand_in rustc 'echo "error: no toolchain" >&2; exit 1'
    find_engine --quiet
    [ "$status" -eq 1 ]
    [[ $stderr == *"says 'error: no toolchain', which is no version"* ]]
}

@test "a library with another checksum ends the search" {
    stand_in curl 'echo other bytes'
    find_engine
    [ "$status" -eq 1 ]
    [[ $stderr == *"has SHA-256 "*", expected "* ]]
    unused cargo
    [ -z "$(ls -A "$CACHE")" ]
}

@test "a build that fails leaves nothing under its name, the next goes on" {
    cp "$BATS_TEST_TMPDIR/bin/cargo" "$BATS_TEST_TMPDIR/works"
    stand_in cargo 'echo part >"$CARGO_TARGET_DIR-part"; exit 101'
    FLV_WASMTIME=cargo find_engine
    [ "$status" -eq 1 ]
    [[ $stderr == *"'cargo build' of Wasmtime's crate failed"* ]]
    [ "$(ls "$CACHE"/*.building/target-part | wc -l)" -eq 1 ]
    cp "$BATS_TEST_TMPDIR/works" "$BATS_TEST_TMPDIR/bin/cargo"
    FLV_WASMTIME=cargo find_engine
    [ "$status" -eq 0 ]
    [ ! -e "$output.building" ]
}

@test "headers of another version than the library's are refused" {
    VERSION=49.0.0 FLV_WASMTIME=cargo find_engine
    [ "$status" -eq 1 ]
    [[ $stderr == *"the headers are of version 49.0.0"* ]]
}

@test "two that need the crate at once build it once" {
    FLV_WASMTIME=cargo "$SCRIPT" >"$BATS_TEST_TMPDIR/a" &
    FLV_WASMTIME=cargo "$SCRIPT" >"$BATS_TEST_TMPDIR/b"
    wait $!
    cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
    [ "$(grep -c '^cargo ' "$RAN")" -eq 1 ]
}

@test "the lock names the version that the script names" {
    cd "$BATS_TEST_DIRNAME/../../cmake/wasmtime"
    grep -A1 '^name = "wasmtime-c-api-impl"' Cargo.lock |
        grep -qx "version = \"$VERSION\""
    grep -qx "version = \"=$VERSION\"" Cargo.toml
}
