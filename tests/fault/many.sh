#!/usr/bin/env bash
# many.sh BIN_DIR - see many.py. 200 connectors at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec python3 "$here/many.py" "$1" "${FLV_MANY:-200}"
