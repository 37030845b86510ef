#!/usr/bin/env bash
# systemd.bash PROGRAM NAME: runs PROGRAM --user in the cgroup /NAME until it
# ends or this gets SIGTERM. To be run as root in a mount namespace of its own.
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /sys
mkdir -p /run/systemd/system /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$2"
unset NOTIFY_SOCKET DBUS_SESSION_BUS_ADDRESS
(
    echo "$BASHPID" >"/sys/fs/cgroup/$2/cgroup.procs"
    exec unshare --mount --propagation unchanged --cgroup bash -ec '
        umount /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        exec "$1" --user' - "$1"
) &
manager=$!
trap 'kill $manager' TERM
wait $manager || wait $manager || true
find "/sys/fs/cgroup/$2" -depth -type d -exec rmdir {} +
