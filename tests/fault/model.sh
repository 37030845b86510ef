#!/usr/bin/env bash
# model.sh BIN_DIR - see model.py. 500 steps, 10,000 in the long run.
# Where a small file system can be mounted in a namespace of our own, the data
# lie on it, so that the disk can be filled without harm to anybody.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
steps=500
[ -z "${FLV_LONG:-}" ] || steps=10000
if [ -z "${FLV_MODEL_DISK+x}" ]; then
    if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
        exec env FLV_MODEL_DISK= unshare -m "$0" "$@"
    elif unshare -rm true 2>/dev/null; then
        exec env FLV_MODEL_DISK= unshare -rm "$0" "$@"
    fi
elif [ -z "$FLV_MODEL_DISK" ]; then
    disk=$(mktemp -d "${TMPDIR:-/tmp}/fluvio-disk.XXXXXX")
    trap 'umount "$disk" 2>/dev/null; rmdir "$disk" 2>/dev/null || true' EXIT
    if mount -t tmpfs -o size=160m none "$disk" 2>/dev/null; then
        export FLV_MODEL_DISK=$disk
    fi
fi
python3 "$here/model.py" "$1" "${FLV_STEPS:-$steps}" "${FLV_SEED:-}"
