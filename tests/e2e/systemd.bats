#!/usr/bin/env bats
# `fluvio cluster start` with the systemd of this user: a real one.

load lib.bash
load manager.bash

# A systemd for the user of the tests, on a runtime folder of its own, where one
# can be started; else that of the session. Says why where there is neither.
setup_file() {
    SYSTEMD_HOME=$(mktemp -d "${BATS_TMPDIR:-/tmp}/fluvio-systemd.XXXXXX")
    export SYSTEMD_HOME
    local program=/lib/systemd/systemd
    [ -x $program ] || program=/usr/lib/systemd/systemd
    if [ -n "${XDG_RUNTIME_DIR:-}" ] && timeout 5 systemctl --user show-environment >/dev/null 2>&1; then
        ln -s "$XDG_RUNTIME_DIR" "$SYSTEMD_HOME/run"
    elif [ ! -x $program ]; then
        echo "systemd is not installed" >"$SYSTEMD_HOME/skip"
    elif [ "$(id -u)" -ne 0 ]; then
        echo "no systemd runs for this user, and only root can start one outside of a session" \
            >"$SYSTEMD_HOME/skip"
    elif ! unshare --mount true 2>/dev/null && ! mounts_stay; then
        echo "mounts of a test would be seen by others here" >"$SYSTEMD_HOME/skip"
    else
        systemd_up "$program" || echo "a systemd for this user does not start here: $(tail -n 1 "$SYSTEMD_HOME/log")" \
            >"$SYSTEMD_HOME/skip"
    fi
}

# In a chroot, whose root is no mount point, unshare cannot make mounts private:
# do they stay in a namespace of their own nevertheless?
mounts_stay() {
    local probe stay=0
    ! grep -q shared: /proc/self/mountinfo || return 1
    PROPAGATION=unchanged
    probe=$(mktemp -d /run/fluvio-probe.XXXXXX)
    unshare --mount --propagation unchanged mount -t tmpfs tmpfs "$probe" || stay=1
    if umount "$probe" 2>/dev/null; then
        stay=1
    fi
    rmdir "$probe"
    return $stay
}

# In a mount namespace that shows what it asks for: a machine that systemd has
# booted, and a cgroup file system that begins with a group of its own.
systemd_up() {
    mkdir -m 700 "$SYSTEMD_HOME/run"
    XDG_RUNTIME_DIR=$SYSTEMD_HOME/run HOME=$SYSTEMD_HOME \
        setsid unshare --mount --propagation "${PROPAGATION:-private}" bash "$BATS_TEST_DIRNAME/systemd.bash" "$1" \
        "${SYSTEMD_HOME##*/}" >"$SYSTEMD_HOME/log" 2>&1 3>&- </dev/null &
    echo $! >"$SYSTEMD_HOME/pid"
    until_true 10 eval 'XDG_RUNTIME_DIR=$SYSTEMD_HOME/run systemctl --user show-environment >/dev/null 2>&1 ||
        ! kill -0 $(cat "$SYSTEMD_HOME/pid") 2>/dev/null'
    kill -0 "$(cat "$SYSTEMD_HOME/pid")" 2>/dev/null
}

teardown_file() {
    if [ -f "$SYSTEMD_HOME/pid" ]; then
        local pid
        pid=$(cat "$SYSTEMD_HOME/pid")
        kill "$pid" 2>/dev/null || true
        until_true 20 eval "! kill -0 $pid 2>/dev/null" || kill -9 "$pid"
    fi
    rm -rf "$SYSTEMD_HOME"
}

setup() {
    home_up
    cd "$HOME"
    unset FLV_SUPERVISOR
    export XDG_RUNTIME_DIR=$SYSTEMD_HOME/run
    mkdir bin
    PATH=$HOME/bin:$PATH
    lingers yes
}

teardown() {
    rm -rf "$SYSTEMD_HOME/run/systemd/user/$(unit fluvio-server).d" \
        "$SYSTEMD_HOME/run/systemd/user/$(unit fluvio-manager).d"
    cd /
    home_down
}

need_systemd() {
    [ ! -f "$SYSTEMD_HOME/skip" ] || skip "$(cat "$SYSTEMD_HOME/skip")"
}

# lingers yes|no: what logind says of this user. The real one would have to be
# told for the whole machine.
lingers() {
    printf '#!/bin/sh\necho >>%q\necho %s\n' "$HOME/asked" "$1" \
        >"$HOME/bin/loginctl"
    chmod +x "$HOME/bin/loginctl"
}

# with_variables NUMBER COMMAND...: runs it with so many more.
with_variables() {
    python3 -c '
import os, sys
more = {f"v{n:05}": "" for n in range(int(sys.argv[1]))}
os.execvpe(sys.argv[2], sys.argv[2:], {**os.environ, **more})' "$@"
}

# unit PROGRAM [FOLDER]: the name of its unit.
unit() {
    python3 - "$1" "${2:-$HOME/.fluvio/data}" <<'PY'
import re, sys
name = b"-".join(re.sub(rb"[^A-Za-z0-9.]", lambda m: b"_%02x" % m[0][0], part)
                 for part in sys.argv[2].encode().split(b"/") if part)
print(f"{sys.argv[1]}-{name.decode()}.service")
PY
}

is_active() {
    [ "$(systemctl --user is-active "$1")" = active ]
}

# All units of this home are gone, and so are their processes.
nothing_left() {
    [ -z "$(systemctl --user list-units --all --no-legend --plain "fluvio-*${HOME##*.}*")" ] &&
        ! pgrep -f "fluvio-(server|manager) --data-dir $HOME/" >/dev/null
}

# setting SECTION LINE [PROGRAM]: of the unit that this home's server, or the
# other program, will be.
setting() {
    local dir
    dir=$XDG_RUNTIME_DIR/systemd/user/$(unit "${3:-fluvio-server}").d
    mkdir -p "$dir"
    printf '[%s]\n%s\n' "$1" "$2" >"$dir/test.conf"
    systemctl --user daemon-reload
}

is_failed() {
    systemctl --user is-failed --quiet "$1"
}

manager_pid() {
    field "$(manager)/manager.json" 'd["pid"]' 2>/dev/null
}

# Starts all with a connector, and kills the manager: the pids of both.
kill_busy_manager() {
    fluvio cluster start
    make_file c
    fluvio connector create -c c.yml
    until_true 20 is_state c Running
    connector=$(cat "$(manager)/run/c.lock")
    pid=$(manager_pid)
    kill -9 "$pid"
}

is_new() {
    local pid
    pid=$(server_pid)
    [ -n "$pid" ] && [ "$pid" != "$1" ] && kill -0 "$pid" 2>/dev/null &&
        fluvio topic list >/dev/null 2>&1
}

is_new_manager() {
    local pid
    pid=$(manager_pid)
    [ -n "$pid" ] && [ "$pid" != "$1" ] && kill -0 "$pid" 2>/dev/null &&
        is_state "$2" Running
}

# ---- the decision ----

@test "where systemd stays, it runs server and manager; logs are where they were" {
    need_systemd
    run -0 with_variables 3000 fluvio cluster start
    [ "$(wc -l <asked)" -eq 1 ]
    [[ $output == *"unit  $(unit fluvio-server)"* ]]
    [[ $output != *enable-linger* ]]
    is_active "$(unit fluvio-server)"
    is_active "$(unit fluvio-manager)"
    [[ $(cat "/proc/$(server_pid)/cgroup") == *"/$(unit fluvio-server)"* ]]
    [[ $(cat "/proc/$(manager_pid)/cgroup") == *"/$(unit fluvio-manager)"* ]]
    run -0 fluvio cluster status
    [[ $output == *"Server is $(unit fluvio-server) of systemd"* ]]
    [[ $output == *"Connector manager is ok"* ]]
    grep -q ready "$HOME/.fluvio/log/fluvio-server.log"
    grep -q ready "$HOME/.fluvio/log/fluvio-manager.log"
    [ "$(stat -c %a "$HOME/.fluvio/log/fluvio-server.log")" = 600 ]
    run -1 --separate-stderr fluvio cluster start
    [[ $stderr == *"runs already: pid $(server_pid), port $FLV_SC_PORT"* ]]
    run -0 fluvio cluster shutdown
    [ "$output" = "Uninstalled fluvio local components" ]
    nothing_left
    run -0 --separate-stderr fluvio cluster shutdown
    [[ $stderr == "no local cluster runs"* ]]
    fluvio cluster start
    run -0 fluvio cluster delete --force
    [ ! -e "$HOME/.fluvio/data" ]
    nothing_left
}

@test "where it would end when the user logs out, a guard does it" {
    need_systemd
    lingers no
    fluvio cluster start
    [ -n "$(guard_pid)" ]
    run ! is_active "$(unit fluvio-server)"
    run -0 fluvio cluster status
    [[ $output != *systemd* ]]
    fluvio cluster shutdown
    # Whoever asks for it gets it, and is told.
    run -0 --separate-stderr fluvio cluster start --supervisor systemd
    [[ $stderr == *"ends when you log out"*"loginctl enable-linger"* ]]
    is_active "$(unit fluvio-server)"
    fluvio cluster shutdown
    lingers yes
    FLV_SUPERVISOR=guard fluvio cluster start
    run ! is_active "$(unit fluvio-server)"
}

@test "where there is none, a guard does it, and who asks is told why" {
    unset XDG_RUNTIME_DIR
    run -1 --separate-stderr fluvio cluster start --supervisor systemd
    [[ $stderr == *"XDG_RUNTIME_DIR is not set"*"--supervisor guard"* ]]
    export XDG_RUNTIME_DIR=$HOME
    run -1 --separate-stderr fluvio cluster start --supervisor systemd
    [[ $stderr == *"no socket $HOME/systemd/private"*"--supervisor guard"* ]]
    if [ "$(id -u)" -ne 0 ]; then
        # What su leaves behind.
        XDG_RUNTIME_DIR=/ run -1 --separate-stderr fluvio cluster start --supervisor systemd
        [[ $stderr == *"not a folder of this user"* ]]
    fi
    fluvio cluster start
    [ -n "$(guard_pid)" ]
}

# A program of that name that says that and ends with that status.
says() {
    printf '#!/bin/sh\necho "%s"\nexit %d\n' "$2" "$3" >"bin/$1"
    chmod +x "bin/$1"
}

@test "what systemd says of itself and of a start is understood" {
    export XDG_RUNTIME_DIR=$HOME
    mkdir systemd
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("systemd/private")'
    says systemctl v248.3-1.fc34 0
    run -1 --separate-stderr fluvio cluster start --supervisor systemd
    [[ $stderr == *"has version 248, and 249 is the first"*"--supervisor guard"* ]]
    says systemctl v253.10-1.fc38 0
    says systemd-run "it cannot be" 1
    run -1 --separate-stderr fluvio cluster start --supervisor systemd
    [ "$stderr" = "it cannot be" ]
    # Also where nobody is told how children end.
    run -1 --separate-stderr python3 -c '
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp("fluvio", ["fluvio", "cluster", "start", "--supervisor", "systemd"])'
    [ "$stderr" = "it cannot be" ]
    # Of the environment all names go along, or what is too much is said.
    printf '#!/bin/sh\necho $#\nexit 1\n' >bin/systemd-run
    run -1 --separate-stderr with_variables 3000 fluvio cluster start --supervisor systemd
    [ "$stderr" -gt 3000 ]
    run -1 --separate-stderr with_variables 60000 fluvio cluster start --supervisor systemd
    [[ $stderr == "cannot run systemd-run: Argument list too long; "*"--supervisor guard" ]]
    # One that does not go away is no server that is slow.
    mkdir systemd/transient
    touch "systemd/transient/$(unit fluvio-server)"
    says systemctl "252 it stays" 1
    run -1 --separate-stderr fluvio cluster shutdown
    [[ $stderr == "cannot stop $(unit fluvio-server): 252 it stays" ]]
}

# ---- coming back ----

@test "a killed server comes back, and with its guard, too" {
    need_systemd
    local pid guard
    fluvio cluster start
    fluvio topic create t
    echo kept | fluvio produce t
    pid=$(server_pid)
    guard=$(guard_pid)
    kill -9 "$pid"
    until_true 20 is_new "$pid"
    [ "$(guard_pid)" = "$guard" ]
    run -0 fluvio cluster status
    [[ $output == *"Server died "*" ago and was brought back: ended by signal 9"* ]]
    pid=$(server_pid)
    kill -9 "$guard"
    until_true 20 is_new "$pid"
    pid=$(server_pid)
    kill -9 "$(guard_pid)" "$pid"
    until_true 20 is_new "$pid"
    run -0 fluvio consume t -B -d
    [ "$output" = kept ]
    run -0 fluvio cluster status
    [[ $output == *"brought its guard back 2 times"* ]]
    fluvio cluster shutdown
    nothing_left
}

@test "a killed manager comes back and finds its connector running" {
    need_systemd
    local pid connector
    kill_busy_manager
    until_true 20 is_new_manager "$pid" c
    [ "$(cat "$(manager)/run/c.lock")" = "$connector" ]
    kill -0 "$connector"
    fluvio cluster shutdown
    run ! kill -0 "$connector"
    nothing_left
}

@test "what was told to end does not come back" {
    need_systemd
    fluvio cluster start
    kill -TERM "$(manager_pid)"
    kill -TERM "$(server_pid)"
    until_true 20 nothing_left
    fluvio cluster start
    systemctl --user stop "$(unit fluvio-server)"
    systemctl --user stop "$(unit fluvio-manager)"
    until_true 20 nothing_left
    run -0 grep -c stopped "$HOME/.fluvio/log/fluvio-server.log"
    [ "$output" = 2 ]
    run ! grep 'second signal' "$HOME/.fluvio/log/fluvio-server.log"
}

@test "shutdown ends a server that systemd is about to start again" {
    need_systemd
    # Nobody holds the folder meanwhile.
    setting Service RestartSec=1d
    fluvio cluster start
    kill -9 "$(guard_pid)"
    until_true 20 eval '[ "$(systemctl --user show -P SubState "$(unit fluvio-server)")" = auto-restart ]'
    # Nor is it in the way of a start.
    fluvio cluster start
    is_active "$(unit fluvio-server)"
    kill -9 "$(guard_pid)" "$(server_pid)"
    run -0 fluvio cluster shutdown
    [ "$output" = "Uninstalled fluvio local components" ]
    nothing_left
}

@test "connectors that a stopped manager left are no hindrance to the next one" {
    need_systemd
    local pid connector
    # Killed, and stopped before it is tried again.
    setting Service RestartSec=1d fluvio-manager
    kill_busy_manager
    until_true 20 eval '[ "$(systemctl --user show -P SubState "$(unit fluvio-manager)")" = auto-restart ]'
    systemctl --user stop "$(unit fluvio-manager)"
    kill -0 "$connector"
    # It finds them running, and ends them in good order.
    run -1 --separate-stderr fluvio cluster start
    [[ $stderr == *"so this one has a guard"* ]]
    until_true 20 is_new_manager "$pid" c
    [ "$(cat "$(manager)/run/c.lock")" = "$connector" ]
    fluvio cluster shutdown
    run ! kill -0 "$connector"
    nothing_left
}

@test "a server that cannot start says why and is not tried again" {
    need_systemd
    mkdir photos
    echo cat >photos/cat.jpg
    run -1 --separate-stderr fluvio cluster start --data-dir "$HOME/photos"
    [[ $stderr == *"fluvio-server did not start: "*"$HOME/photos is not a fluvio-server data directory"* ]]
    nothing_left
    [ "$(grep -c 'not a fluvio-server' "$HOME/.fluvio/log/fluvio-server.log")" = 1 ]
}

@test "a server that cannot start again is given up, with its reason" {
    need_systemd
    fluvio cluster start
    mv "$HOME/.fluvio/data/meta.db" meta.db
    mkdir "$HOME/.fluvio/data/meta.db"
    kill -9 "$(server_pid)"
    # systemd leaves it at that, and shows it to who looks for failed units.
    until_true 30 is_failed "$(unit fluvio-server)"
    run -1 --separate-stderr fluvio cluster status
    [[ $stderr == *"Server is $(unit fluvio-server) of systemd, which has given it up (exit-code)"* ]]
    [[ $stderr == *"Server died 8 times in a row and was given up "*meta.db* ]]
    [ "$(systemctl --user show -P NRestarts "$(unit fluvio-server)")" = 0 ]
    rmdir "$HOME/.fluvio/data/meta.db"
    mv meta.db "$HOME/.fluvio/data/meta.db"
    fluvio cluster start
    is_active "$(unit fluvio-server)"
}

@test "a guard that is killed again and again is given up, too" {
    need_systemd
    setting Unit StartLimitBurst=2
    fluvio cluster start
    local pid
    pid=$(server_pid)
    kill -9 "$(guard_pid)"
    until_true 20 is_new "$pid"
    kill -9 "$(guard_pid)"
    until_true 20 is_failed "$(unit fluvio-server)"
    run -1 --separate-stderr fluvio cluster status
    [[ $stderr == *"of systemd, which has given it up (signal)"* ]]
    run -0 fluvio cluster shutdown
    nothing_left
}

# ---- what is handed over ----

# arrived FOLDER: the server of that folder has the environment of the start.
arrived() {
    tr '\0' '\n' <"/proc/$(cat "$1/data/lock")/environ" >environ
    grep -Fxq 'WORDS=$HOME %h "q"  \\ ' environ
    grep -Fxq 'RUST_LOG=debug' environ
    grep -Fxq "HOME=$HOME" environ
    run ! grep -F nobody environ
}

@test "folders of any name, options and the environment arrive as they are" {
    need_systemd
    # No path of SQLite has a '%', no word of a unit a '$'.
    local odd="$HOME/a \\x2d 'q\" –" log="$HOME/%h \$HOME 'log\""
    # A name that systemd would not take is no hindrance.
    env 'BASH_FUNC_x%%=() { :; }' 'WORDS=$HOME %h "q"  \\ ' NOTIFY_SOCKET="$HOME/nobody" \
        fluvio cluster start --data-dir "$odd/data" --log-dir "$log" --rust-log debug
    [ -f "$odd/data/VERSION" ]
    grep -q msg=ready "$log/fluvio-server.log"
    is_active "$(unit fluvio-server "$odd/data")"
    arrived "$odd"
    # Also when systemd has read all its units again.
    systemctl --user daemon-reload
    local pid
    pid=$(cat "$odd/data/lock")
    : >"$log/fluvio-server.log"
    kill -9 "$(sed 's/.*"guard":\([0-9]*\).*/\1/' "$odd/data/server.json")"
    until_true 20 eval '[ "$(cat "$odd/data/lock")" != '"$pid"' ] && fluvio topic list >/dev/null 2>&1'
    grep -q msg=ready "$log/fluvio-server.log"
    arrived "$odd"
    fluvio cluster delete --force
    nothing_left
    # Where systemd cannot, a guard does it.
    fluvio cluster start --data-dir "$HOME/\$a/data"
    [ -n "$(sed -n 's/.*"guard":\([1-9][0-9]*\).*/\1/p' "$HOME/\$a/data/server.json")" ]
    fluvio cluster delete --force
}

# ---- the units of the package ----

# packaged UNIT...: the user's units, for the programs and the folders of here.
# The programs as they are shipped: a sanitizer looks for leaks by means that the
# locks refuse.
packaged() {
    local name
    for name in "$@"; do
        sed "s,^ExecStart=,&${FLV_RELEASE_BIN:-$FLV_BIN}/,; s,%h/,$HOME/,; s,:9003,:$FLV_SC_PORT," \
            "$ROOT/packaging/systemd/user/fluvio-$name.service" \
            >"$XDG_RUNTIME_DIR/systemd/user/fluvio-$name.service"
    done
    systemctl --user daemon-reload
}

packaged_down() {
    systemctl --user stop fluvio-manager fluvio-server
    rm "$XDG_RUNTIME_DIR"/systemd/user/fluvio-{manager,server}.service
    systemctl --user daemon-reload
}

@test "the units of the package are what systemd understands" {
    command -v systemd-analyze >/dev/null || skip "systemd is not installed"
    local file
    for file in fluvio-server.service user/fluvio-server.service user/fluvio-manager.service; do
        sed "s,^ExecStart=,&$FLV_BIN/," "$ROOT/packaging/systemd/$file" >"${file##*/}"
        run -0 systemd-analyze verify --man=no "$PWD/${file##*/}"
        [ -z "$output" ]
    done
}

@test "under the locks of the package's units server, connectors and SmartModules work" {
    need_systemd
    [ -f "$SYSTEMD_HOME/pid" ] || skip "the session has units of its own"
    mkdir -p "$XDG_RUNTIME_DIR/systemd/user"
    packaged server manager
    export FLUVIO_SERVER_OPTIONS="--sc-port $FLV_SC_PORT --spu-port $FLV_SPU_PORT"
    systemctl --user import-environment FLUVIO_SERVER_OPTIONS
    systemctl --user start fluvio-server fluvio-manager
    fluvio profile add local "$(address)"
    local pid
    pid=$(server_pid)
    [ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$pid/status")" = 2 ]
    [ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$(manager_pid)/status")" = 2 ]
    cat >c.yml <<YML
version: latest
name: c
type: test-connector
topic: c
create_topic: true
parameters:
  timeout: 50ms
  filter: $FLV_SMARTMODULES/contains.wasm
  smartmodule-parameters: ["text:Fluvio"]
YML
    fluvio connector create -c c.yml
    until_true 20 is_state c Running
    until_true 20 eval 'fluvio consume c -B -d | grep -q Fluvio'
    fluvio smartmodule create contains --wasm-file "$FLV_SMARTMODULES/contains.wasm"
    run -0 fluvio consume c -B -d --smartmodule contains -e text=nowhere
    [ -z "$output" ]
    grep -q wasmtime "/proc/$pid/maps"
    systemctl --user reload fluvio-server
    kill -9 "$pid"
    until_true 20 is_new "$pid"
    [ "$(systemctl --user show -P NRestarts fluvio-server)" = 1 ]
    # What watches and ends clusters works with these, too.
    run -0 fluvio cluster status
    run -1 --separate-stderr fluvio cluster start
    [[ $stderr == *"runs already: pid $(server_pid)"* ]]
    packaged_down
    run ! pgrep -f "fluvio-.*$HOME/"
}

# ---- the end of the machine ----

# when MESSAGE FILE: the time of its last line with that message.
when() {
    grep -F "msg=$1" "$2" | tail -n 1 | cut -d ' ' -f 1
}

# The last one, because it ends what the others use.
@test "when systemd ends, connectors drain before the server is told to end" {
    need_systemd
    [ -f "$SYSTEMD_HOME/pid" ] || skip "it is the one of the session"
    fluvio cluster start
    make_file c
    fluvio connector create -c c.yml
    until_true 20 is_state c Running
    kill "$(cat "$SYSTEMD_HOME/pid")"
    until_true 30 eval "! pgrep -f 'fluvio-.* $HOME/' >/dev/null"
    grep -F msg=stopped "$HOME/.fluvio/log/fluvio-server.log"
    [[ $(when stopped "$HOME/.fluvio/log/fluvio-manager.log") < $(when stopping "$HOME/.fluvio/log/fluvio-server.log") ]]
    run ! grep 'level=error' "$HOME/.fluvio/log/fluvio-manager.log"
    rm "$SYSTEMD_HOME/pid"
}
