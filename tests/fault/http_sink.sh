#!/usr/bin/env bash
# http_sink.sh BIN_DIR - see http_sink.py. 60 rounds, 5,000 in the long run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rounds=60
[ -z "${FLV_LONG:-}" ] || rounds=5000
exec python3 "$here/http_sink.py" "$1" "$rounds"
