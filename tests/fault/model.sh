#!/usr/bin/env bash
# model.sh BIN_DIR - see model.py. 500 steps, 10,000 in the long run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
steps=500
[ -z "${FLV_LONG:-}" ] || steps=10000
exec python3 "$here/model.py" "$1" "${FLV_STEPS:-$steps}" "${FLV_SEED:-}"
