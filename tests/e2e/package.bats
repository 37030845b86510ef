#!/usr/bin/env bats
# Installed trees: what `make install` and the Debian package put somewhere
# runs from there, finds its siblings and the engine, and needs no build tree.

load lib.bash

RELEASE=$ROOT/build/release

setup_file() {
    TREE=$(mktemp -d "${BATS_TMPDIR:-/tmp}/fluvio-package.XXXXXX")
    export TREE
    cmake --build "$RELEASE" --target all >"$TREE/log" 2>&1 || {
        tail -n 40 "$TREE/log" >&2
        return 1
    }
}

teardown_file() {
    rm -rf "$TREE"
}

setup() {
    home_up
    cd "$HOME"
}

teardown() {
    cd /
    home_down
}

# works_from BIN LIBRARY: cluster, manager, managed connector, SmartModule.
works_from() {
    # Nothing of the build tree is left on the path.
    PATH=$1:/usr/bin:/bin:/usr/sbin
    local pid
    fluvio cluster start >/dev/null
    [ "$(readlink "/proc/$(server_pid)/exe")" = "$1/fluvio-server" ]
    fluvio cluster status
    fluvio connector catalog >catalog
    for program in "$1"/fluvio-connect-*; do
        grep -q "${program##*-connect-}" catalog
    done
    cp "$FLV_SMARTMODULES/contains.wasm" m.wasm
    cat >c.yml <<EOF
version: latest
name: tests
type: test-connector
topic: tests
create_topic: true
direction: source
parameters:
  timeout: 50ms
  filter: $HOME/m.wasm
  smartmodule-parameters: ["text:Fluvio"]
EOF
    fluvio connector create -c c.yml
    until_true 20 engine_of "$1/fluvio-connect-test-connector" "$2"
    until_true 20 has_records
    fluvio smartmodule create has --wasm-file m.wasm
    run -0 fluvio consume tests -B -d --smartmodule has -e text=nowhere
    [ -z "$output" ]
    # The server opened the engine of its own tree, too.
    grep -qF "$2" "/proc/$(server_pid)/maps"
    fluvio cluster delete --force >/dev/null
}

has_records() {
    fluvio consume tests -B -d | grep -q Fluvio
}

# engine_of PROGRAM LIBRARY: a process of that program has that engine open.
engine_of() {
    local pid
    for pid in $(pgrep -f "^$1 "); do
        if grep -qF "$2" "/proc/$pid/maps" 2>/dev/null; then
            return 0
        fi
    done
    return 1
}

# has_manuals PREFIX: a page for every program and every command, which roff
# takes without a warning.
has_manuals() {
    local page name
    for name in "$1"/bin/*; do
        [ -f "$1/share/man/man1/${name##*/}.1.gz" ] || {
            echo "no page for $name" && false
        }
    done
    for name in $("$1/bin/fluvio" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'); do
        [ "$name" = help ] || [ -f "$1/share/man/man1/fluvio-$name.1.gz" ] || {
            echo "no page for fluvio $name" && false
        }
    done
    for page in "$1"/share/man/man1/*.1.gz; do
        if command -v groff >/dev/null; then
            run -0 bash -c "zcat '$page' | groff -man -Tutf8 -ww -z 2>&1"
            [ -z "$output" ] || { echo "$page: $output" && false; }
        fi
        zgrep -q '^\.SH SYNOPSIS' "$page"
    done
}

@test "make install: the tree below DESTDIR works where it lies" {
    DESTDIR=$TREE/dest cmake --install "$RELEASE" --prefix /opt/fluvio \
        >"$TREE/log"
    local prefix=$TREE/dest/opt/fluvio
    [ -f "$prefix/include/fluvio/client.h" ]
    [ -f "$prefix/lib/libfluvio.a" ]
    [ -f "$prefix/share/bash-completion/completions/fluvio" ]
    has_manuals "$prefix"
    works_from "$prefix/bin" "$prefix/lib/fluvio-c/libwasmtime.so"
    # Moved, it still works: no path is compiled in.
    mv "$TREE/dest/opt" "$TREE/moved"
    "$TREE/moved/fluvio/bin/fluvio" smartmodule test --wasm-file \
        "$FLV_SMARTMODULES/contains.wasm" --text "a cat" -e text=cat
}

@test "make deb: one package has all, and works where it is unpacked" {
    command -v dpkg-shlibdeps >/dev/null && command -v file >/dev/null ||
        skip "dpkg-dev and file are not installed (scripts/bootstrap deb)"
    # xz takes its time; the contents are the same.
    "$ROOT/scripts/deb" "$TREE/deb" -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip
    local deb=("$TREE"/deb/fluvio-c_*.deb) dev=("$TREE"/deb/fluvio-c-dev_*.deb)
    local lib=("$TREE"/deb/libfluvio[0-9]*.deb)
    [ ${#deb[@]} -eq 1 ] && [ ${#dev[@]} -eq 1 ] && [ ${#lib[@]} -eq 1 ]
    run -0 dpkg-deb -f "${deb[0]}" Depends
    [[ $output == *ca-certificates* && $output == *libc6* ]]
    [[ $output == *libuv1* && $output == *libsqlite3-0* && $output == *libssl3* && $output == *libmicrohttpd12* ]]
    run -0 dpkg-deb -c "${deb[0]}"
    for path in usr/bin/fluvio usr/bin/fluvio-server usr/bin/fluvio-manager \
        usr/bin/fluvio-connect-http usr/lib/fluvio-c/libwasmtime.so \
        usr/include/fluvio/smartmodule.h usr/share/doc/fluvio-c/copyright \
        lib/systemd/system/fluvio-server.service \
        usr/share/man/man1/fluvio.1.gz usr/share/man/man1/fluvio-topic.1.gz \
        usr/share/man/man1/fluvio-connect-http.1.gz; do
        [[ $output == *"/$path"* ]] || { echo "no $path" && false; }
    done
    # Owned by root, nothing set-id, nothing outside /usr and /lib.
    ! grep -v '^[dl-]r[-wx]*r-[-x]r-[-x] root/root\|^l' <<<"$output"
    ! grep -q 'flv-bench\|kill9\|client\.h\|libfluvio\.' <<<"$output"
    run -0 dpkg-deb -c "${dev[0]}"
    [[ $output == *usr/include/fluvio/client.h* ]]
    [[ $output == *usr/lib/pkgconfig/fluvio.pc* ]]
    [[ $output == *usr/lib/libfluvio.so\ -\>* ]]
    run -0 dpkg-deb -c "${lib[0]}"
    [[ $output == *usr/lib/libfluvio.so.[0-9]* ]]
    ! grep -v 'usr/$\|usr/lib/$\|\./$\|libfluvio\.so\.[0-9]' <<<"$output"
    run -0 dpkg-deb -f "${lib[0]}" Depends
    [[ $output == *libuv1* && $output == *libssl3* ]]
    dpkg-deb -x "${deb[0]}" "$TREE/root"
    works_from "$TREE/root/usr/bin" \
        "$TREE/root/usr/lib/fluvio-c/libwasmtime.so"
}
