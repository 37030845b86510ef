#!/usr/bin/env bats
# What only a terminal sees: prompts, notices, icons and colours.

load lib.bash

setup_file() {
    cluster_up
}

teardown_file() {
    home_down
}

# at_terminal COMMAND: runs it with a terminal of its own, one that has colours
# whatever the tests themselves run in; stdin is typed.
at_terminal() {
    python3 - "$@" 3<&0 <<'PY'
import os, pty, select, signal, sys, time

pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp("bash", ["bash", "-c", sys.argv[1]])
typed = os.fdopen(3, "rb").read().splitlines(keepends=True)
# Nobody presses Enter behind Ctrl-C: it could be read as an empty record.
typed = [b"\x03" if line == b"\x03\n" else line for line in typed]
seen = b""
shown_bytes = 0


def show():
    """What has come, but no half of a line's end."""
    global shown_bytes
    end = len(seen) - seen.endswith(b"\r")
    sys.stdout.buffer.write(
        seen[shown_bytes:end].replace(b"\r\n", b"\n"))
    sys.stdout.buffer.flush()
    shown_bytes = end


# Types the next line when a prompt or a question has been shown.
deadline = time.monotonic() + 30
prompts = 0
while time.monotonic() < deadline:
    ready, _, _ = select.select([fd], [], [], 0.5)
    if ready:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
        show()
    shown = sum(map(seen.count, (b"> ", b"go on: ", b"Value of ")))
    if shown > prompts:
        prompts = shown
        os.write(fd, typed.pop(0) if typed else b"\x04")
else:
    os.kill(pid, signal.SIGKILL)  # it has had its time
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen[shown_bytes:])
sys.exit(os.waitstatus_to_exitcode(status))
PY
}

@test "produce prompts and says Ok! after each record" {
    fluvio topic create prompt
    run -0 at_terminal "fluvio produce prompt" <<<$'one\ntwo'
    [ "$(grep -c 'Ok!' <<<"$output")" -eq 2 ]
    [[ $output == *$'\033[32mOk!\033[0m'* ]]
    run -0 fluvio consume prompt -B -d
    [ "$output" = $'one\ntwo' ]
}

@test "produce shows how far a file is, and how long it will take" {
    fluvio topic create bar
    seq 1000000 1400000 >"$HOME/numbers"
    run -0 at_terminal "fluvio produce bar -f $HOME/numbers"
    [[ $output == *$'\r['*'] '*' of 3.2 MB, '*'/s'*' left'* ]]
    # The line is empty at the end.
    [[ $output == *$'\r\033[K' ]]
    run -0 at_terminal "cat $HOME/numbers | fluvio produce bar"
    [[ $output == *"MB, "*"/s"* ]]
    [[ $output != *" of "* ]]
    run -0 at_terminal "fluvio produce bar -f $HOME/numbers 2>/dev/null"
    [ -z "$output" ]
}

@test "dead letters: discard asks, and replay shows how far it is" {
    fluvio topic create saved
    fluvio topic create dead
    for n in 1 2 3; do
        printf '%s\n' '{"version":1,"connector":{"name":"c","type":"t","topic":"saved"},"error":{"cause":"c","text":"t"},"record":{"value":"YQ=="}}'
    done | fluvio produce dead
    run -1 at_terminal "fluvio dead-letter discard dead --end 0" <<<no
    [[ $output == *"Discard 1 letter of topic dead?"* ]]
    [[ $output == *"nothing was discarded"* ]]
    run -0 at_terminal "fluvio dead-letter discard dead --end 0" <<<yes
    [[ $output == *'discarded 1 dead letter of topic "dead"'* ]]
    run -0 at_terminal "fluvio dead-letter replay dead"
    [[ $output == *"[##############################] 2 of 2 letters, "*"/s"* ]]
    [[ $output == *"replayed 2 letters as 2 records"* ]]
}

@test "Ctrl-C ends the prompt, what was said Ok! to is stored" {
    fluvio topic create interrupted
    run -130 at_terminal "exec fluvio produce interrupted" <<<$'one\n\x03'
    [ "$(grep -c 'Ok!' <<<"$output")" -eq 1 ]
    run -0 fluvio consume interrupted -B -d
    [ "$output" = one ]
}

@test "a busy cluster is waited for, and a terminal told so" {
    fluvio topic create waits
    kill -STOP "$(server_pid)"
    at_terminal "fluvio topic list" </dev/null >"$HOME/seen" 3>&- &
    local pid=$!
    until_true 20 grep -q "^$(address) has accepted the connection and not answered yet; it is given 10 s" \
        "$HOME/seen"
    kill -CONT "$(server_pid)"
    ends_with 0 "$pid"
    grep -q '  waits ' "$HOME/seen"
}

@test "NO_COLOR takes colour and icons away" {
    fluvio topic create plain
    NO_COLOR=1 run -0 at_terminal "fluvio produce plain" <<<one
    [[ $output == *"Ok!"* ]]
    [[ $output != *$'\033['* ]]
    NO_COLOR=1 run -0 at_terminal "fluvio cluster status" </dev/null
    [[ $output != *"✅"* ]]
    run -0 at_terminal "fluvio cluster status" </dev/null
    [[ $output == *"✅ SC is ok"* ]]
}

@test "consume says where it starts" {
    fluvio topic create notice
    seq 3 | fluvio produce notice
    run -0 at_terminal "NO_COLOR=1 fluvio consume notice --start 1 --end 2" </dev/null
    [[ ${lines[0]} == "Consuming records from 'notice' starting at offset 1 until offset 2 (inclusive)" ]]
    run -0 at_terminal "NO_COLOR=1 fluvio consume notice -B -d" </dev/null
    [[ ${lines[0]} == "Consuming records from 'notice' starting from the beginning of log" ]]
    run -0 at_terminal "NO_COLOR=1 fluvio consume notice -T 1 -d" </dev/null
    [[ ${lines[0]} == "Consuming records from 'notice' starting 1 from the end of log" ]]
}

@test "a secret is asked for and not shown while it is typed" {
    run -0 at_terminal "fluvio secret set TOKEN" <<<hunter9
    [[ $output == *"Value of TOKEN: "*'secret "TOKEN" set'* ]]
    [[ $output != *hunter9* ]]
    grep -qx TOKEN=hunter9 "$HOME/.fluvio/data/manager/secrets"
    # Ctrl-C leaves a terminal that shows again what is typed.
    run -0 at_terminal "trap : INT; fluvio secret set X; stty -a" <<<$'\x03'
    [[ $output == *" echo "* && $output != *" -echo "* ]]
    run -0 fluvio secret list
    [[ $output != *X* ]]
}

@test "delete asks, and takes no for an answer" {
    run -1 at_terminal "fluvio cluster delete" <<<no
    [[ $output == *"nothing was deleted"* ]]
    run -0 fluvio cluster status
    run -0 at_terminal "fluvio cluster delete" <<<yes
    [ ! -e "$HOME/.fluvio/data" ]
}
