#!/usr/bin/env bats
# Table formats as objects of the cluster, and what consume makes of them.

load lib.bash

setup_file() {
    cluster_up
    cat >"$HOME/prices.yml" <<'YAML'
name: prices
inputFormat: "JSON"
columns:
  - keyPath: "item"
    headerLabel: "Item"
    primaryKey: true
  - keyPath: "price"
    headerLabel: "Price"
    alignment: RIGHT
    width: "8"
    headerTextColor: GREEN
  - keyPath: "note"
    display: false
YAML
}

teardown_file() {
    home_down
}

@test "create, list and delete, with Fluvio's texts" {
    run -0 fluvio table-format list
    [ "$output" = "no tableformats" ]
    run -0 fluvio table-format create --config "$HOME/prices.yml"
    [ "$output" = 'tableformat "prices" created' ]
    run -1 --separate-stderr fluvio tf create -c "$HOME/prices.yml"
    [ "$stderr" = "TableFormat already exists" ]
    run -0 fluvio tableformat list
    [ "${lines[0]}" = "  NAME    STATUS " ]
    [ "${lines[1]}" = "  prices    Init " ]
    run -0 fluvio table-format names
    [ "$output" = prices ]
    run -0 fluvio table-format delete prices
    [ -z "$output" ]
    run -1 --separate-stderr fluvio table-format delete prices
    [ "$stderr" = "TableFormat not found" ]
    run -0 fluvio table-format list -O json
    [ "$output" = "no tableformats" ]
}

@test "a format comes back as it was written, also after a restart" {
    fluvio table-format create --config "$HOME/prices.yml"
    fluvio cluster shutdown >/dev/null
    fluvio cluster start >/dev/null
    run -0 fluvio table-format list -O json
    python3 - "$output" <<'PY'
import json, sys
(one,) = json.loads(sys.argv[1])
none = dict.fromkeys(["headerLabel", "width", "alignment", "format", "display",
                      "primaryKey", "headerBgColor", "headerTextColor"])
assert one == {
    "name": "prices",
    "spec": {"name": "prices", "inputFormat": "JSON", "columns": [
        none | {"keyPath": "item", "headerLabel": "Item", "primaryKey": True},
        none | {"keyPath": "price", "headerLabel": "Price", "width": "8",
                "alignment": "RIGHT", "headerTextColor": "GREEN"},
        none | {"keyPath": "note", "display": False}]},
    "status": {"resolution": "Init", "reason": None}}, one
PY
    run -0 fluvio table-format list -O yaml
    [[ $output == *"- name: prices"* ]]
    fluvio table-format delete prices
}

@test "a mistake in a file is named with its place" {
    bad() {
        printf '%b' "$1" >"$HOME/bad.yml"
        run -1 --separate-stderr fluvio table-format create -c "$HOME/bad.yml"
        [[ $stderr == *"$2"* ]]
    }
    bad 'columns: []\n' 'missing field `name`'
    bad 'name: x\ncolumns:\n  - label: a\n' 'bad.yml:3:5: missing field `keyPath`'
    bad 'name: x\ncolumns: 1\n' 'columns has to be a list'
    bad 'name: x\ninputFormat: XML\n' "inputFormat is 'XML' and has to be one of JSON"
    bad 'name: x\ncolumns:\n  - keyPath: a\n    alignment: up\n' \
        'one of LEFT, RIGHT, CENTER'
    bad 'name: a b\n' 'no blanks'
    bad '- a\n' 'has to be a map'
    run -1 --separate-stderr fluvio table-format create -c "$HOME/none.yml"
    [[ $stderr == *none.yml* ]]
    run -2 fluvio table-format create
}

@test "consume prints rows by a format, or by the members of the first record" {
    fluvio topic create rows
    printf '%s\n' '{"price":1.10,"item":"pen","note":"x"}' \
        '[{"item":"ink","price":2},{"item":"pen","price":3}]' nothing '5' |
        fluvio produce rows
    fluvio table-format create -c "$HOME/prices.yml"
    run -0 fluvio consume rows -B -d -O table
    [ "$output" = " item  note  price 
 pen   x     1.10  
 ink         2     
 pen         3     
error parsing record as json: expected value at line 1 column 1
error: Unable to parse json as object map" ]
    want=" Item     Price 
 pen       1.10 
 ink          2 
 pen          3 "
    run -0 fluvio consume rows -B -d --suppress-unknown --table-format prices
    [ "$output" = "$want" ]
    run -0 fluvio consume rows -B -d --suppress-unknown -O full-table \
        --tableformat prices
    [ "$output" = "$want" ]
    run -0 fluvio consume rows -B -d --table-format prices -O raw
    [[ $output == '{"price":1.10'* ]]
    run -1 --separate-stderr fluvio consume rows -B -d --table-format none
    [ "$stderr" = "TableFormat not found: none" ]
    fluvio table-format delete prices
}

# The screen of a command that is run on a terminal of 20 lines of 40.
on_terminal() {
    python3 - "$@" <<'PY'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 40, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
out = b""
try:
    while chunk := os.read(fd, 4096):
        out += chunk
except OSError:
    pass
_, status = os.waitpid(pid, 0)
sys.stdout.write(out.decode())
sys.exit(os.waitstatus_to_exitcode(status))
PY
}

@test "the full table follows the size of the terminal, and Ctrl-C leaves it" {
    fluvio topic create sizes
    seq 1 40 | sed 's/.*/{"n":&}/' | fluvio produce sizes
    timeout 60 python3 - <<'PY'
import fcntl, os, pty, struct, termios

def size(fd, lines):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 40, 0, 0))

def until(fd, seen, text):
    while text not in seen:
        seen += os.read(fd, 4096)
    return seen

pid, fd = pty.fork()
if pid == 0:
    size(1, 20)
    os.execvp("fluvio", ["fluvio", "consume", "sizes", "-B", "-O", "full_table"])
until(fd, b"", b"Items: 40")
size(fd, 8)
seen = last = b""
while last.count(b"\n") != 7:
    seen = until(fd, seen, b"\x1b[J")
    picture, _, seen = seen.partition(b"\x1b[J")
    # Of the one that was being read its beginning is gone.
    begin = picture.rfind(b"\x1b[H")
    last = picture[begin:] if begin >= 0 else b""
assert b" 36 " in last and b" 35 " not in last and b" 40 " in last, last
os.write(fd, b"\x03")
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
PY
}

@test "keys select, clear and leave, and the terminal is what it was" {
    fluvio topic create keys
    seq 1 40 | sed 's/.*/{"n":&}/' | fluvio produce keys
    timeout 60 python3 - <<'PY'
import fcntl, os, pty, signal, struct, termios, time

def until(text):
    global seen
    while text not in seen:
        seen += os.read(fd, 4096)
    seen = seen[seen.index(text) + len(text):]

for last in (b"q", b"\x1b", b"\x1c", signal.SIGHUP, signal.SIGTERM):
    seen = b""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 13, 60, 0, 0))
        # What is typed comes from the terminal, whatever stdin is.
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.execvp("fluvio", ["fluvio", "consume", "keys", "-B", "-O",
                             "full_table"])
    before = termios.tcgetattr(fd)[3]
    until(b"(q to exit, c to clear) | Items: 40")
    os.write(fd, b"\x1b[A")
    until(b"\x1b[7m>40 ")
    os.write(fd, b"\x1b[H")
    until(b"\x1b[7m>1  ")
    os.write(fd, b"\x1bOB\x1bOB")
    until(b"\x1b[7m>3  ")
    # As a slow line has it: nothing tells when a part has been read.
    for part in b"\x1b", b"[", b"A":
        os.write(fd, part)
        time.sleep(0.02)
    until(b"\x1b[7m>2  ")
    os.write(fd, b"\x1b[B")
    until(b"\x1b[7m>3  ")
    os.write(fd, b"\x1b[6~")
    until(b"\x1b[7m>12 ")
    os.write(fd, b"c")
    until(b"| Items: 0")
    assert termios.tcgetattr(fd)[3] != before
    if isinstance(last, bytes):
        os.write(fd, last)
    else:
        os.kill(pid, last)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, (last, status)
    assert termios.tcgetattr(fd)[3] == before, last
    os.close(fd)
PY
}

@test "on a terminal the full table replaces rows of the same key" {
    fluvio table-format create -c "$HOME/prices.yml"
    run -0 on_terminal fluvio consume rows -B -d -O full_table \
        --table-format prices
    last=${output##*$'\033[H'}
    last=${last//$'\r'/}
    last=${last//$'\033[K'/}
    [[ $last == "(q to exit, c to clear) | Items: 2 | rec"* ]]
    [[ $last == *$'\033[1;32;44m Item     Price \033[0m\n pen          3 \n ink          2 \n'* ]]
    fluvio topic create empty
    run -0 on_terminal fluvio consume empty -B -d -O full_table \
        --table-format prices
    [[ $output == *"| Items: 0"*" Item     Price "* ]]
    run -1 on_terminal fluvio consume missing -B -d -O full_table
    [[ $output == *"Topic not found: missing"* ]]
    NO_COLOR=1 run -0 on_terminal fluvio consume rows -B -d -O full_table \
        --table-format prices
    [[ $output != *$'\033[1;'* ]]
    fluvio table-format delete prices
}
