#!/usr/bin/env bash
# soak.sh BIN_DIR - see soak.py. 20 seconds, an hour in the long run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=20
[ -z "${FLV_LONG:-}" ] || seconds=3600
exec python3 "$here/soak.py" "$1" "$seconds"
