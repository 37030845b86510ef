#!/usr/bin/env bash
# mqtt.sh BIN_DIR - see mqtt.py. 60 rounds, 5,000 in the long run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../interop/clients.sh"
install_paho
rounds=60
[ -z "${FLV_LONG:-}" ] || rounds=5000
exec python3 "$here/mqtt.py" "$1" "$PAHO/bin/python" "$rounds"
