#!/usr/bin/env bash
# engine_long.sh BIN_DIR - the WebAssembly engine built from its crate, as
# scripts/wasmtime does where there is no library to fetch, and what people do
# with SmartModules run with it. Minutes of compiling: only with --long.
set -euo pipefail
BIN=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
script=$here/../../scripts/wasmtime
version=$(rustc --version 2>/dev/null || echo "no rustc")
wanted=$(sed -n 's/^RUST = (\([0-9]*\), \([0-9]*\)).*/\1.\2/p' "$script")
found=$(sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p' <<<"$version")

if [ "$(printf '%s\n' "$wanted" "${found:-0}" | sort -V | head -n 1)" != \
    "$wanted" ]; then
    echo "1..0 # skip the engine's crate needs rustc $wanted, here is $version"
    exit 0
fi
folder=$(FLV_WASMTIME=cargo "$script")
echo "# $folder, $(du -k "$folder/lib/libwasmtime.so" | cut -f 1) KiB"
export FLV_BIN=$BIN WASMTIME_LIB=$folder/lib/libwasmtime.so
# All but those that need modules of the unit tests.
exec bats --tap -f '^(create|produce|consume|test shows what|test runs)' \
    "$here/../e2e/smartmodule.bats"
