#!/usr/bin/env bash
# disk.sh BIN_DIR - full disk and failing fsync against the real server: the
# producer hears why, nothing acknowledged is lost, service resumes.
set -uo pipefail
BIN=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

# --- full disk: a small tmpfs -------------------------------------------------
disk=$WORK/disk
mkdir "$disk"
if mount -t tmpfs -o size=24m tmpfs "$disk" 2>/dev/null; then
    MOUNTED=$disk
    head -c 12M /dev/zero >"$disk/ballast"
    start_server "$disk/data"
    fluvio topic create full >/dev/null
    # 40 MB of numbered lines into 12 MB of space.
    seq -f "%08.0f$(printf 'x%.0s' {1..1000})" 1 40000 >"$WORK/input"
    fluvio produce full --file "$WORK/input" >"$WORK/out" 2>&1
    code=$?
    check "a producer on a full disk fails" test $code -eq 1
    check "it hears why" grep -qi "space" "$WORK/out"
    check "the server says so in its log" grep -qi "space" "$WORK/server.log"
    kept=$(fluvio consume full -B -d 2>/dev/null | cut -c1-8)
    check "what was written before reads well, in order" \
        test "$kept" = "$(cut -c1-8 "$WORK/input" | head -n "$(wc -l <<<"$kept")")"
    rm "$disk/ballast"
    echo after-space | fluvio produce full >"$WORK/out" 2>&1
    check "with space again the same server takes records" test $? -eq 0
    last=$(fluvio consume full --tail 1 -d 2>/dev/null)
    check "and they read back" test "$last" = after-space
    check "SIGTERM ends it with 0" stop_server
    check "the data directory checks out" \
        fluvio-server --check "$disk/data"
    umount "$disk" && MOUNTED=
else
    echo "ok - full disk # SKIP mounting a tmpfs needs root"
fi

# --- failing fsync: a preloaded fdatasync that fails while a file exists ------
if [ -f "$BIN/libfailsync.so" ]; then
    start_server "$WORK/data" LD_PRELOAD="$BIN/libfailsync.so" \
        FLV_FAILSYNC="$WORK/fail"
    fluvio topic create poison >/dev/null
    fluvio topic create bystander >/dev/null
    echo before | fluvio produce poison
    check "a record before the failure is acknowledged" test $? -eq 0
    touch "$WORK/fail"
    echo lost | timeout 30 fluvio produce poison >"$WORK/out" 2>&1
    check "a failing fsync is not an acknowledgement" test $? -eq 1
    rm "$WORK/fail"
    echo still | timeout 30 fluvio produce poison >"$WORK/out" 2>&1
    check "the partition stays poisoned after the disk is well again" \
        test $? -eq 1
    check "the producer hears that it is storage" grep -qi "stor" "$WORK/out"
    echo fine | timeout 30 fluvio produce bystander
    check "other topics go on" test $? -eq 0
    check "what was synced before still reads" \
        test "$(fluvio consume poison -B -d 2>/dev/null | head -n 1)" = before
    stop_server
    start_server "$WORK/data"
    echo again | timeout 30 fluvio produce poison >"$WORK/out" 2>&1
    check "after a restart the partition takes records" test $? -eq 0
    check "the first and the last acknowledged record are there" test \
        "$(fluvio consume poison -B -d 2>/dev/null | sed -n '1p;$p' | tr '\n' ' ')" \
        = "before again "
    stop_server
else
    echo "ok - failing fsync # SKIP libfailsync.so was not built"
fi
finish
