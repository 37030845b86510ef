#!/usr/bin/env bats
# Connectors in containers: the archives, and what happens when an engine runs
# them against our server. Podman keeps all it needs in a folder of the test.

load lib.bash

RELEASE=${FLV_RELEASE_BIN:-$ROOT/build/bin}
REPOSITORY=infinyon/fluvio-connect

# Podman with a storage of its own; as root where sudo asks for nothing, which
# needs no user namespaces.
engine() {
    local options=(--root "$WORK/root" --runroot "$WORK/run"
        --tmpdir "$WORK/tmp" --cgroup-manager cgroupfs
        --events-backend file)
    if [ -n "$RUNC" ]; then
        options+=(--runtime "$RUNC")
    fi
    # shellcheck disable=SC2086
    $SUDO podman "${options[@]}" "$@"
}

# Why no container can be run here; empty when one can.
reason() {
    command -v podman >/dev/null || {
        echo "podman is not installed (scripts/bootstrap images)"
        return
    }
    engine load -q -i "$WORK/images/fluvio-connect-test-connector.tar" \
        >"$WORK/load.log" 2>&1 &&
        engine run --rm --network host "${LIMITS[@]}" \
            "$REPOSITORY-test-connector" --version >"$WORK/load.log" 2>&1 ||
        echo "no container can be run here:" \
            "$(grep -m 1 docker-archive: "$WORK/load.log" ||
                tail -n 1 "$WORK/load.log")"
}

setup_file() {
    WORK=$(mktemp -d "${BATS_TMPDIR:-/tmp}/fluvio-images.XXXXXX")
    chmod 755 "$WORK"
    RUNC=$(command -v runc || true)
    SUDO=
    if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; then
        SUDO="sudo -n"
    fi
    export WORK RUNC SUDO
    "$ROOT/scripts/images" --bin "$RELEASE" --out "$WORK/images" --no-load \
        >"$WORK/made" 2>&1 || {
        cat "$WORK/made" >&2
        return 1
    }
    NO_CONTAINERS=$(reason)
    export NO_CONTAINERS
    [ -n "$NO_CONTAINERS" ] ||
        for image in http http-slim; do
            engine load -q -i "$WORK/images/fluvio-connect-$image.tar" >&2
        done
}

teardown_file() {
    if command -v podman >/dev/null; then
        engine rm -fa >/dev/null 2>&1 || true
        engine rmi -fa >/dev/null 2>&1 || true
        $SUDO umount "$WORK/root/overlay" 2>/dev/null || true
    fi
    $SUDO rm -rf "$WORK"
}

setup() {
    home_up
    cd "$HOME"
}

teardown() {
    if [ -f "$HOME/nginx.pid" ]; then
        kill "$(cat "$HOME/nginx.pid")" 2>/dev/null || true
    fi
    [ -n "$NO_CONTAINERS" ] || engine rm -fa >/dev/null 2>&1 || true
    cd /
    home_down
}

needs_containers() {
    [ -z "$NO_CONTAINERS" ] || skip "$NO_CONTAINERS"
}

# A cluster, a topic, and nginx with a fact on port $web.
world_up() {
    fluvio cluster start >/dev/null
    fluvio topic create cat-facts >/dev/null
    read -r web _ < <(free_ports)
    cat >nginx.conf <<NGINX
worker_processes 1;
pid $HOME/nginx.pid;
error_log $HOME/nginx-error.log;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $HOME/body;
    proxy_temp_path $HOME/proxy;
    fastcgi_temp_path $HOME/fastcgi;
    uwsgi_temp_path $HOME/uwsgi;
    scgi_temp_path $HOME/scgi;
    server {
        listen 127.0.0.1:$web;
        location = /fact { return 200 '{"fact":"Cats purr."}'; }
    }
}
NGINX
    PATH=$PATH:/usr/sbin nginx -c "$HOME/nginx.conf" -e "$HOME/nginx-error.log"
    # The container's user is not the one who owns it.
    chmod 755 "$HOME" .fluvio
    chmod 644 .fluvio/config
}

profile() {
    echo "-v$HOME/.fluvio/config:/home/fluvio/.fluvio/config"
}

# Nested engines may not raise limits.
LIMITS=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)

# All records of the topic are at least N.
has_records() {
    [ "$(fluvio consume cat-facts -B -d | grep -c purr)" -ge "$1" ]
}

@test "there is one image per connector, under 20 MB without the engine" {
    local program name
    for program in "$RELEASE"/fluvio-connect-*; do
        name=infinyon/$(basename "$program")
        grep -q "^$name:latest " "$WORK/made"
        awk -v image="$name:slim" '$1 == image && $2 > 1 && $2 < 20 {ok = 1}
            END {exit !ok}' "$WORK/made"
    done
    [ "$(grep -c :latest "$WORK/made")" -eq \
        "$(ls "$RELEASE"/fluvio-connect-* | wc -l)" ]
    # The same files make the same bytes.
    "$ROOT/scripts/images" --bin "$RELEASE" --out "$HOME/again" --no-load \
        test-connector
    cmp again/fluvio-connect-test-connector-slim.tar \
        "$WORK/images/fluvio-connect-test-connector-slim.tar"
    run -1 "$ROOT/scripts/images" --bin "$RELEASE" --out "$HOME" nix
    [[ $output == *"no fluvio-connect-nix in "*http* ]]
    run -1 "$ROOT/scripts/images" --bin "$HOME" --out "$HOME"
    [[ $output == *"run make first"* ]]
}

@test "an image holds one program, its user, certificates, nothing else" {
    python3 - "$WORK/images" <<'PY'
import io, json, sys, tarfile

def look_into(archive):
    outer, files, data = tarfile.open(archive), {}, {}
    manifest, = json.load(outer.extractfile("manifest.json"))
    for layer in manifest["Layers"]:
        tar = tarfile.open(fileobj=io.BytesIO(outer.extractfile(layer).read()))
        for entry in tar:
            files["/" + entry.name] = entry
            if entry.isfile():
                data["/" + entry.name] = tar.extractfile(entry).read()
    config = json.load(outer.extractfile(manifest["Config"]))["config"]
    return manifest["RepoTags"], config, files, data

folder = sys.argv[1] + "/fluvio-connect-"
tags, config, files, data = look_into(folder + "http-slim.tar")
assert "infinyon/fluvio-connect-http:slim" in tags, tags
assert config["User"] == "fluvio", config
assert config["Entrypoint"] == ["/usr/bin/fluvio-connect-http"], config
programs = [p for p in files if "/bin/" in p]
assert programs == ["/usr/bin/fluvio-connect-http"], programs
assert not [p for p in files if "wasmtime" in p]
assert not [p for p, e in files.items() if e.mode & 0o6000]
assert b"fluvio:x:1000:" in data["/etc/passwd"]
assert b"BEGIN CERTIFICATE" in data["/etc/ssl/certs/ca-certificates.crt"]
assert b"dns" in data["/etc/nsswitch.conf"]
assert files["/home/fluvio"].uid == 1000, files["/home/fluvio"].uid
assert files["/tmp"].mode == 0o1777
assert "/etc/fluvio-image" in files
# Opened when TLS is spoken, linked by nothing.
_, _, files, _ = look_into(folder + "mqtt.tar")
assert [p for p in files if p.endswith("/libssl.so.3")]
assert "/usr/lib/fluvio-c/libwasmtime.so" in files
PY
}

@test "the seed's command works, as user fluvio, and SIGTERM drains it" {
    needs_containers
    world_up
    # Word for word, but for the name that finds it again.
    engine run --name seed "${LIMITS[@]}" \
        --network host "$(profile)" \
        -t infinyon/fluvio-connect-http -- \
        --endpoint="http://127.0.0.1:$web/fact" --fluvio-topic=cat-facts \
        --interval=10 >out 2>&1 &
    local job=$!
    until_true 20 has_records 1 || { cat out && false; }
    [ "$(engine inspect -f '{{.Config.User}}' seed)" = fluvio ]
    local pid
    pid=$(engine inspect -f '{{.State.Pid}}' seed)
    [[ $(awk '/^Uid:/ {print $2}' "/proc/$pid/status") != 0 ]]
    engine stop seed
    ends_with 0 "$job" || { cat out && false; }
    grep -q "in=1 .*acked=1" out
}

@test "an image runs a SmartModule, a slim one says what it lacks" {
    needs_containers
    world_up
    local args=(--endpoint="http://127.0.0.1:$web/fact"
        --fluvio-topic=cat-facts --interval=100ms
        --smartstream-filter=/m.wasm --smartmodule-parameters=text:purr)
    engine run --name full "${LIMITS[@]}" --network host "$(profile)" \
        -v "$(realpath "$FLV_SMARTMODULES")/contains.wasm:/m.wasm:ro" \
        infinyon/fluvio-connect-http -- "${args[@]}" >out 2>&1 &
    local job=$!
    until_true 20 has_records 3 || { cat out && false; }
    engine kill -s TERM full
    ends_with 0 "$job" || { cat out && false; }
    run -1 engine run --rm "${LIMITS[@]}" --network host "$(profile)" \
        -v "$(realpath "$FLV_SMARTMODULES")/contains.wasm:/m.wasm:ro" \
        infinyon/fluvio-connect-http:slim -- "${args[@]}"
    [[ $output == *"SmartModules need Wasmtime"*"lib/fluvio-c/libwasmtime.so"* ]]
}

@test "without the host's network the connector says so and what to do" {
    needs_containers
    world_up
    run -1 engine run --rm "${LIMITS[@]}" --network none "$(profile)" \
        infinyon/fluvio-connect-http -- \
        --endpoint="http://127.0.0.1:$web/fact" --fluvio-topic=cat-facts
    [[ $output == *"no Fluvio cluster answers at 127.0.0.1:$FLV_SC_PORT"* ]]
    [[ $output == *"in a container that is the container itself: run it with --network host"* ]]
    run -3 engine run --rm "${LIMITS[@]}" --network none "$(profile)" \
        infinyon/fluvio-connect-http -- --probe \
        --endpoint="http://127.0.0.1:$web/fact" --fluvio-topic=cat-facts
    [[ $output == *"run it with --network host"* ]]
}

@test "a profile that is not readable, or not there, is told with the fix" {
    needs_containers
    world_up
    local args=(infinyon/fluvio-connect-http -- --fluvio-topic=cat-facts
        --endpoint="http://127.0.0.1:$web/fact" --interval=10)
    # Another user's file; without root our own is one to the container.
    cp .fluvio/config profile
    chmod 600 profile
    if [ -n "$SUDO" ] || [ "$(id -u)" -eq 0 ]; then
        $SUDO chown 4711 profile
    fi
    local mount=-v$HOME/profile:/home/fluvio/.fluvio/config
    run -1 engine run --rm "${LIMITS[@]}" --network host "$mount" "${args[@]}"
    [[ $output == *"cannot read /home/fluvio/.fluvio/config: Permission denied; it is user "* ]]
    local fix
    fix=$(grep -o -- '--user [0-9]*' <<<"$output")
    # What it says helps.
    # shellcheck disable=SC2086
    engine run --name fixed $fix "${LIMITS[@]}" --network host "$mount" \
        "${args[@]}" >out 2>&1 &
    local job=$!
    until_true 20 has_records 1 || { cat out && false; }
    engine stop fixed
    ends_with 0 "$job"
    run -1 engine run --rm "${LIMITS[@]}" --network host "${args[@]}"
    [[ $output == *'-v "$HOME/.fluvio/config:/home/fluvio/.fluvio/config"'* ]]
    mkdir folder
    run -1 engine run --rm "${LIMITS[@]}" --network host \
        -v "$HOME/folder:/home/fluvio/.fluvio/config" "${args[@]}"
    [[ $output == *"the host had no such file"* ]]
}
