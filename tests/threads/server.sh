#!/usr/bin/env bash
# server.sh TSAN_BIN RELEASE_BIN - fluvio-server under the thread sanitizer,
# with producers and consumers of disk and page-cache topics at once, topics
# made and deleted meanwhile, then an orderly stop: not one report.
set -uo pipefail
TSAN_BIN=$(cd "$1" && pwd)
BIN=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../fault/lib.sh"

mkdir "$WORK/bin"
ln -s "$TSAN_BIN/fluvio-server" "$WORK/bin/fluvio-server"
PATH=$WORK/bin:$PATH
start_server "$WORK/data" TSAN_OPTIONS="suppressions=$here/tsan.supp"
at=127.0.0.1:$SC_PORT
for topic in one two three; do
    fluvio topic create $topic -p 2 >/dev/null
done
fluvio topic create cached --durability page-cache >/dev/null
pids=()
others=()
flv-bench produce "$at" one 8 1024 16384 8 5 >"$WORK/p1" 2>&1 & pids+=($!)
flv-bench produce "$at" cached 2 1024 16384 8 5 >"$WORK/p2" 2>&1 & pids+=($!)
flv-bench produce "$at" two 4 100 4096 4 5 >"$WORK/p3" 2>&1 & pids+=($!)
for topic in one two cached; do
    timeout 6 fluvio consume $topic -B >/dev/null 2>&1 & others+=($!)
done
for i in {1..20}; do
    fluvio topic create brief-"$i" >/dev/null
    seq 1 200 | fluvio produce brief-"$i"
    fluvio consume brief-"$i" -B -d --consumer someone >/dev/null
    fluvio topic delete brief-"$i" >/dev/null
done
loads_end_well() {
    local rc=0
    for pid in "${pids[@]}"; do
        wait "$pid" || rc=1
    done
    cat "$WORK"/p? | sed 's/^/# /'
    return $rc
}
check "producers of four topics end well" loads_end_well
wait "${others[@]}" || true
check "what they wrote reads back to the end" test "$(
    fluvio consume one -B -d | wc -l)" -gt 1000
check "SIGTERM ends the server with 0" stop_server
check "the thread sanitizer has nothing to report" \
    bash -c "! grep -A25 'WARNING: ThreadSanitizer' '$WORK/server.log'"
finish
