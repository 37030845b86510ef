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
