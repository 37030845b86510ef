# For the files that speak to the manager.

manager() {
    echo "$HOME/.fluvio/data/manager"
}

# api METHOD ROUTE [curl options]: the body of the answer, then its status.
api() {
    local method=$1 route=$2
    shift 2
    curl -sS -m 20 -X "$method" -w '\n%{http_code}' \
        --unix-socket "$(manager)/manager.sock" "$@" "http://manager$route"
}

# field JSON-FILE EXPRESSION: of Python, with the document in d.
field() {
    python3 -c "import json, sys; d = json.load(open(sys.argv[1])); print($2)" "$1"
}

state_of() {
    api GET "/connectors/$1/status" | head -n 1 |
        python3 -c 'import json, sys; print(json.load(sys.stdin).get("state"))'
}

is_state() {
    [ "$(state_of "$1")" = "$2" ]
}

make_file() {
    cat >"$HOME/$1.yml" <<YML
version: latest
name: $1
type: test-connector
topic: ${2:-$1}
create_topic: true
parameters:
  topic: ${2:-$1}
  timeout: 50
YML
}
