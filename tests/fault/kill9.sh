#!/usr/bin/env bash
# kill9.sh BIN_DIR - see kill9.py. 100 rounds, 1,000 in the long run. Skips, and
# says why, where the PyPI client cannot be installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fluvio-c
venv=$cache/pypi-fluvio-0.21.0
if ! "$venv/bin/python" -c 'import fluvio' 2>/dev/null; then
    mkdir -p "$cache"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check fluvio==0.21.0
fi
rounds=100
[ -z "${FLV_LONG:-}" ] || rounds=1000
exec python3 "$here/kill9.py" "$1" "$venv/bin/python" "$rounds"
