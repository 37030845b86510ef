#!/usr/bin/env bats
# TLS end to end: server, profile, client, manager and connectors, each with a
# certificate that somebody signed.

load lib.bash
load manager.bash

setup_file() {
    home_up
    "$ROOT/tests/pki.sh" "$HOME/pki"
    export PKI=$HOME/pki
    cluster_start_tls
}

teardown_file() {
    home_down
}

# cluster_start_tls [options]
cluster_start_tls() {
    fluvio cluster start "$@" --tls --domain fluvio.test --ca-cert "$PKI/ca.crt" \
        --server-cert "$PKI/server.crt" --server-key "$PKI/server.key" \
        --client-cert "$PKI/alice.crt" --client-key "$PKI/alice.key" \
        >"$HOME/start.log" 2>&1 || {
        cat "$HOME/start.log" >&2
        return 1
    }
}

@test "topics, records and the status, through the profile" {
    run -0 fluvio topic create over-tls -p 2
    seq 1000 | fluvio produce over-tls
    run -0 fluvio consume over-tls -B -d
    [ "${#lines[@]}" -eq 1000 ]
    run -0 fluvio cluster status
    run -0 fluvio profile list
    [[ $output == *" local "*"verified"* ]] || [[ $output == *Verified* ]]
    head -c 3000000 /dev/urandom | base64 -w 0 | cut -c 1-1500000 >"$HOME/big"
    fluvio topic create big
    fluvio produce big --raw -f "$HOME/big"
    fluvio consume big -B -d >"$HOME/back"
    cmp <(cat "$HOME/big"; echo) "$HOME/back"
}

@test "whoever has no certificate of our CA is turned away, and says why" {
    run -1 --separate-stderr fluvio --cluster "$(address)" topic list
    run -1 --separate-stderr fluvio --cluster "$(address)" --tls topic list
    [[ $stderr == *"certificate required"* ]]
    run -1 --separate-stderr fluvio --cluster "$(address)" --tls \
        --domain fluvio.test --ca-cert "$PKI/ca.crt" \
        --client-cert "$PKI/mallory.crt" --client-key "$PKI/mallory.key" \
        topic list
    [[ $stderr == *"unknown ca"* ]]
    # We look at the other side as closely.
    run -1 --separate-stderr fluvio --cluster "$(address)" --tls \
        --domain fluvio.test --ca-cert "$PKI/other-ca.crt" \
        --client-cert "$PKI/alice.crt" --client-key "$PKI/alice.key" topic list
    [[ $stderr == *" certificate"* ]]
    run -1 --separate-stderr fluvio --cluster "$(address)" --tls \
        --domain elsewhere.test --ca-cert "$PKI/ca.crt" \
        --client-cert "$PKI/alice.crt" --client-key "$PKI/alice.key" topic list
    [[ $stderr == *mismatch* ]]
    run -0 fluvio --cluster "$(address)" --tls --enable-client-cert \
        --domain fluvio.test --ca-cert "$PKI/ca.crt" \
        --client-cert "$PKI/alice.crt" --client-key "$PKI/alice.key" topic list
}

@test "an exported profile works elsewhere, its texts may be inline" {
    fluvio profile export >"$HOME/exported"
    run -0 env FLV_PROFILE_PATH="$HOME/exported" fluvio topic list
    python3 - "$PKI" >"$HOME/inline" <<'PY'
import os, sys
pki = sys.argv[1]
read = lambda name: open(f"{pki}/{name}").read()
port = os.environ["FLV_SC_PORT"]
print(f'''version = "2.0"
current_profile = "far"
[profile.far]
cluster = "far"
[cluster.far]
endpoint = "127.0.0.1:{port}"
[cluster.far.tls]
tls_policy = "verified"
tls_source = "inline"
[cluster.far.tls.certs]
domain = "fluvio.test"
key = """{read("alice.key")}"""
cert = """{read("alice.crt")}"""
ca_cert = """{read("ca.crt")}"""''')
PY
    run -0 env FLV_PROFILE_PATH="$HOME/inline" fluvio topic list
}

@test "managed connectors and those by hand find the same cluster" {
    cat >"$HOME/c.yml" <<'YML'
version: latest
name: ticks
type: test-connector
topic: ticks
create_topic: true
direction: source
parameters:
  topic: ticks
  count: 5
  timeout: 1
YML
    fluvio connector create --config "$HOME/c.yml"
    until_true 20 is_state ticks Completed
    run -0 fluvio consume ticks -B -d
    [ "${#lines[@]}" -eq 5 ]
    run -0 fluvio-connect-test-connector --fluvio-topic ticks --count 3 \
        --timeout 1
    run -0 fluvio consume ticks -B -d
    [ "${#lines[@]}" -eq 8 ]
}

@test "cluster start brings back what is missing, and plain is plain again" {
    fluvio cluster shutdown
    cluster_start_tls
    run -0 fluvio consume ticks -B -d
    run -0 fluvio connector list
    fluvio cluster shutdown
    fluvio cluster start
    run -0 --separate-stderr fluvio consume ticks -B -d
    [ "${#lines[@]}" -eq 8 ]
    run -0 fluvio connector list
    grep -q 'tls_policy = "disabled"' "$HOME/.fluvio/config"
    fluvio cluster shutdown
    cluster_start_tls
}

# as NAME COMMAND...: our client with the certificate of NAME.
as() {
    local who=$1
    shift
    fluvio --cluster "$(address)" --tls --domain fluvio.test \
        --ca-cert "$PKI/ca.crt" --client-cert "$PKI/$who.crt" \
        --client-key "$PKI/$who.key" "$@"
}

# fetch_as NAME TOPIC: the answer to a Fetch, which our client never sends.
fetch_as() {
    python3 - "$PKI" "$1" "$2" "$FLV_SPU_PORT" <<'PY'
import socket, ssl, struct, sys
pki, who, topic, port = sys.argv[1:]
tls = ssl.create_default_context(cafile=f"{pki}/ca.crt")
tls.load_cert_chain(f"{pki}/{who}.crt", f"{pki}/{who}.key")
text = lambda s: struct.pack(">H", len(s)) + s.encode()
body = (struct.pack(">HhI", 1, 10, 7) + text("t") +
        struct.pack(">iiiBI", 0, 0, 1 << 20, 0, 1) + text(topic) +
        struct.pack(">IIiqqiI", 1, 0, 0, 0, 0, 1 << 20, 0))
with tls.wrap_socket(socket.create_connection(("127.0.0.1", int(port))),
                     server_hostname="fluvio.test") as s:
    s.sendall(struct.pack(">I", len(body)) + body)
    answer = s.makefile("rb")
    size, = struct.unpack(">I", answer.read(4))
    print(ascii(answer.read(size)))
PY
}

@test "a policy allows what its rules say, and nothing else" {
    fluvio cluster shutdown
    cat >"$HOME/policy" <<'RULES'
alice   create,produce,consume,delete   alice-*
bob     consume                         alice-open
*       consume                         over-tls
RULES
    cluster_start_tls --policy "$HOME/policy"
    as alice topic create alice-open
    as alice topic create alice-private
    echo one | as alice produce alice-open
    echo two | as alice produce alice-private
    run -1 --separate-stderr as alice topic create other
    [[ $stderr == *[Pp]"ermission denied"* ]]
    run -1 --separate-stderr as bob topic delete alice-open
    [[ $stderr == *[Pp]"ermission denied"* ]]
    run -0 as bob consume alice-open -B -d
    [ "$output" = one ]
    run -1 --separate-stderr as bob consume alice-private -B -d
    [[ $stderr == *[Pp]"ermission denied"* ]]
    run -0 fetch_as alice alice-private
    [[ $output == *two* ]]
    run -0 fetch_as bob alice-open
    [[ $output == *one* ]]
    run -0 fetch_as bob alice-private
    [[ $output == *alice-private* && $output != *two* ]]
    echo no >"$HOME/no"
    run -1 --separate-stderr as bob produce alice-open -f "$HOME/no"
    [[ $stderr == *[Pp]"ermission denied"* ]]
    run -1 --separate-stderr as bob smartmodule create x \
        --wasm-file "$FLV_SMARTMODULES/contains.wasm"
    [[ $stderr == *[Pp]"ermission denied"* ]]
    printf 'name: alice-table\n' >"$HOME/tf.yml"
    run -1 --separate-stderr as bob table-format create -c "$HOME/tf.yml"
    [[ $stderr == *[Pp]"ermission denied"* ]]
    as alice table-format create -c "$HOME/tf.yml"
    run -0 as bob table-format list
    [[ $output == *" alice-table "* ]]
    run -1 --separate-stderr as bob table-format delete alice-table
    [[ $stderr == *[Pp]"ermission denied"* ]]
    as alice table-format delete alice-table
    run -0 as bob consume over-tls -B -d
    # Told at most once a second.
    grep -q 'refused by the policy.*who=.*right=.*name=' \
        "$HOME/.fluvio/log/fluvio-server.log"
}

@test "a sink needs no more than the right to consume" {
    python3 - >"$HOME/sink.port" 3>&- <<'PY' &
import http.server, os
class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        open(os.environ["HOME"] + "/taken", "ab").write(body + b"\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Taker)
print(server.server_port, flush=True)
server.serve_forever()
PY
    local taker=$!
    until_true 10 has_lines "$HOME/sink.port" 1
    # The profile's alice may only read over-tls.
    fluvio-connect-http-sink --fluvio-topic over-tls \
        --endpoint "http://127.0.0.1:$(cat "$HOME/sink.port")/" \
        >"$HOME/sink.log" 2>&1 3>&- &
    local sink=$!
    until_true 60 has_lines "$HOME/taken" 1000
    kill "$sink"
    ends_with 0 "$sink"
    kill "$taker"
}

@test "SmartModules have rights, too" {
    as alice smartmodule create alice-own \
        --wasm-file "$FLV_SMARTMODULES/contains.wasm"
    run -1 --separate-stderr as bob smartmodule delete alice-own
    [[ $stderr == *[Pp]"ermission denied"* ]]
    run -0 as alice smartmodule delete alice-own
}

@test "a policy and certificates are read again at SIGHUP" {
    # Somebody reads and loses the right to: the stream ends.
    as bob consume alice-open -B >"$HOME/out" 2>"$HOME/err" &
    local reader=$!
    until_true 10 has_lines "$HOME/out" 1
    sed -i 's/^bob.*/bob produce alice-open/' "$HOME/policy"
    kill -HUP "$(server_pid)"
    ends_with 1 "$reader"
    grep -qi "permission denied" "$HOME/err"
    echo three | as bob produce alice-open
    run -0 as alice consume alice-open -B -d
    [ "$output" = $'one\nthree' ]
    # A mistake changes nothing and is in the log.
    echo "bob everything *" >>"$HOME/policy"
    kill -HUP "$(server_pid)"
    until_true 10 grep -q 'policy:4: .*everything.* is none of' \
        "$HOME/.fluvio/log/fluvio-server.log"
    echo four | as bob produce alice-open
    fluvio cluster shutdown
    run -1 --separate-stderr cluster_start_tls --policy "$HOME/policy"
    [[ $stderr == *'policy:4: "everything"'* ]]
    cluster_start_tls
}

@test "a server without TLS does not carry OpenSSL" {
    fluvio cluster shutdown
    fluvio cluster start
    run -1 grep -q libssl "/proc/$(server_pid)/maps"
    fluvio cluster shutdown
    cluster_start_tls
    run -0 grep -q libssl "/proc/$(server_pid)/maps"
}

@test "half of the options is a mistake, a missing file is named" {
    run -1 --separate-stderr fluvio cluster start --tls --domain x
    [[ $stderr == *"--tls needs --domain"* ]]
    run -1 --separate-stderr fluvio cluster start --server-key x
    run -1 --separate-stderr fluvio --cluster "$(address)" --domain x topic list
    [[ $stderr == *"only valid with --tls"* ]]
    fluvio cluster shutdown
    run -1 --separate-stderr fluvio cluster start --tls --domain fluvio.test \
        --ca-cert "$PKI/ca.crt" --server-cert "$PKI/server.crt" \
        --server-key "$PKI/nothing.key" --client-cert "$PKI/alice.crt" \
        --client-key "$PKI/alice.key"
    [[ $stderr == *"--server-key"*"nothing.key"* ]]
    run -1 --separate-stderr fluvio cluster start --tls --domain fluvio.test \
        --ca-cert "$PKI/ca.crt" --server-cert "$PKI/server.crt" \
        --server-key "$PKI/alice.key" --client-cert "$PKI/alice.crt" \
        --client-key "$PKI/alice.key"
    [[ $stderr == *"key in "*"alice.key cannot be used"* ]]
    run -1 --separate-stderr fluvio-server --data-dir "$HOME/d" --bind 0.0.0.0
    [[ $stderr == *"--tls-client-ca"* ]]
    run -1 --separate-stderr fluvio cluster start --policy x
    [[ $stderr == *"--policy needs --tls"* ]]
}
