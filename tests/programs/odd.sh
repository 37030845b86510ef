#!/bin/sh
# fluvio-connect-odd - a connector as nobody wants it. It only knows --describe
# and --config FILE; `mode` in the file says how it misbehaves:
#   hang     lives and does nothing        exit0   ends well at once
#   deaf     ignores SIGTERM               exit3   fails at once, with last words
#   flood    writes to its log without end orphan  leaves a child behind and fails
case "$1" in
--describe)
    echo '{"name":"odd","direction":"source","version":"1.0.0",' \
        '"summary":"Misbehaves","options":[{"name":"mode","type":"string",' \
        '"help":"How"}]}'
    exit 0
    ;;
--config) ;;
*) exit 2 ;;
esac
mode=$(sed -n 's/^ *mode: *//p' "$2")
case "$mode" in
hang) exec sleep 1000000 ;;
deaf)
    trap '' TERM INT HUP
    while :; do sleep 1; done
    ;;
exit0) exit 0 ;;
exit3)
    echo "these are the last words"
    exit 3
    ;;
flood)
    # Not so much that a small disk is full before anybody looks at the log.
    while :; do
        yes "a line that says nothing, over and over" | head -n 4000
        sleep 0.02
    done
    ;;
orphan)
    sleep 1000000 &
    exit 4
    ;;
*) exit 1 ;;
esac
