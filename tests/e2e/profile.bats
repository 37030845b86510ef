#!/usr/bin/env bats
# Profiles: the file that says where the cluster is.

load lib.bash

setup() {
    home_up
}

teardown() {
    home_down
}

@test "add, list, switch, rename and delete profiles" {
    run -0 fluvio profile add one 127.0.0.1:1
    [ "$output" = "Switched to profile one" ]
    run -0 fluvio profile add two example.com:2 cloud
    run -0 fluvio profile
    [ "$output" = two ]
    run -0 fluvio profile list
    [[ ${lines[0]} =~ ^\ +PROFILE\ +CLUSTER\ +ADDRESS\ +TLS\ +INSTALLATION\ *$ ]]
    [[ $output =~ \*\ +two\ +two\ +example.com:2\ +Disabled\ +cloud ]]
    run -0 fluvio profile switch one
    [ -z "$output" ]
    run -0 fluvio profile current
    [ "$output" = one ]
    run -0 fluvio profile rename one uno
    run -0 fluvio profile
    [ "$output" = uno ]
    run -0 fluvio profile delete uno
    [ "${lines[0]}" = "profile uno deleted" ]
    [[ ${lines[1]} == *"fluvio profile switch"* ]]
    run -1 --separate-stderr fluvio profile
    [[ $stderr == "No active profile set in config"* ]]
}

@test "mistakes are named and change nothing" {
    fluvio profile add one 127.0.0.1:1
    cp "$HOME/.fluvio/config" "$HOME/before"
    run -1 --separate-stderr fluvio profile switch nobody
    [ "$stderr" = "profile nobody not found" ]
    run -1 --separate-stderr fluvio profile delete nobody
    [ "$stderr" = "profile nobody not found" ]
    run -1 fluvio profile add bad noport
    run -1 fluvio profile add bad host:
    run -1 fluvio profile delete-cluster one
    cmp "$HOME/before" "$HOME/.fluvio/config"
}

@test "sync local sets the local profile" {
    run -0 fluvio profile sync local 127.0.0.1:19003
    [ "$output" = "local context is set to: 127.0.0.1:19003" ]
    run -0 fluvio profile
    [ "$output" = local ]
    run -1 fluvio profile sync k8
    fluvio profile sync local h:1 --tls --enable-client-cert --domain d \
        --ca-cert /a --client-cert /b --client-key /c
    run -0 fluvio profile list
    [[ $output =~ \*\ +local\ +local\ +h:1\ +Verified\ +local ]]
    run -1 --separate-stderr fluvio profile sync local h:1 --domain d
    [[ $stderr == *"only valid with --tls"* ]]
}

@test "comments and unknown keys survive" {
    mkdir -p "$HOME/.fluvio"
    cat >"$HOME/.fluvio/config" <<'TOML'
# kept by hand
version = "2.0"
current_profile = "mine"
later = { than = "us" }

[profile.mine]
cluster = "mine"
mood = "good" # and this

[cluster.mine]
endpoint = "10.0.0.1:9003"
TOML
    fluvio profile add other 127.0.0.1:1
    fluvio profile switch mine
    grep -q '^# kept by hand' "$HOME/.fluvio/config"
    grep -q '^later = { than = "us" }' "$HOME/.fluvio/config"
    grep -q '^mood = "good" # and this' "$HOME/.fluvio/config"
}

@test "an exported profile works through FLV_PROFILE_PATH" {
    fluvio profile add one 127.0.0.1:1
    fluvio profile export one >"$HOME/exported"
    FLV_PROFILE_PATH=$HOME/exported run -0 fluvio profile
    [ "$output" = one ]
    run -0 bash -c "fluvio profile export -O json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d[\"endpoint\"], d[\"tls\"][\"tls_policy\"])'"
    [ "$output" = "127.0.0.1:1 disabled" ]
}

@test "the whole configuration prints as a document" {
    fluvio profile add one 127.0.0.1:1
    fluvio profile add two 127.0.0.1:2 cloud
    run -0 fluvio profile list -O json
    python3 - "$output" <<'PY'
import json, sys
d = json.loads(sys.argv[1])
assert d["version"] == "2.0" and d["current_profile"] == "two", d
assert d["profile"]["one"]["cluster"] == "one", d
assert d["cluster"]["one"]["endpoint"] == "127.0.0.1:1", d
assert d["cluster"]["one"]["tls"] == {"tls_policy": "disabled"}, d
assert d["cluster"]["two"]["metadata"] == {"installation": {"typ": "cloud"}}, d
PY
    run -0 --separate-stderr fluvio profile export one -O table
    [ "$stderr" = "Table format is not supported, using TOML instead" ]
    [[ $output == 'version = "2.0"'* ]]
    run -0 fluvio profile delete one
    [ "$output" = $'profile one deleted\nprofile deleted' ]
    run -0 fluvio profile delete-cluster -f one
    [ "$output" = "Cluster one deleted" ]
}

@test "a malformed file is named with its line" {
    mkdir -p "$HOME/.fluvio"
    printf 'version = "2.0"\n[profile\n' >"$HOME/.fluvio/config"
    run -1 --separate-stderr fluvio profile list
    [[ $stderr == *"$HOME/.fluvio/config"* ]]
    [[ $stderr == *2* ]]
}
