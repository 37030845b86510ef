#!/usr/bin/env bash
# letters.sh BIN_DIR - see letters.py. 12 rounds, 300 in the long run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rounds=12
[ -z "${FLV_LONG:-}" ] || rounds=300
exec python3 "$here/letters.py" "$1" "$rounds"
