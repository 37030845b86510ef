#!/usr/bin/env bash
# sql_sink.sh BIN_DIR - see sql_sink.py. 60 rounds, 5,000 in the long run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rounds=60
[ -z "${FLV_LONG:-}" ] || rounds=5000
exec python3 "$here/sql_sink.py" "$1" "$rounds"
