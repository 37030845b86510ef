#!/usr/bin/env bash
# kill9.sh BIN_DIR - see kill9.py. 100 rounds, 1,000 in the long run. Fails, and
# says why, where the PyPI client cannot be installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../interop/clients.sh"
install_pypi
rounds=100
[ -z "${FLV_LONG:-}" ] || rounds=1000
exec python3 "$here/kill9.py" "$1" "$PYPI/bin/python" "$rounds"
