# The public clients that tests use, and a broker, each installed once below
# the user's cache folder and named after its version. To be sourced: sets
# PYPI, OLD, NPM, PAHO, AEDES and PROMETHEUS, defines install_pypi, install_old,
# install_npm, install_paho, install_aedes and install_prometheus, which print
# `not ok` and return 1 on failure.

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/fluvio-c
PYPI=$CACHE/pypi-fluvio-0.21.0
OLD=$CACHE/pypi-fluvio-0.14.0-to-0.20.0
NPM=$CACHE/npm-fluvio-client-0.14.9
PAHO=$CACHE/pypi-paho-mqtt-2.1.0
AEDES=$CACHE/npm-aedes-0.51.3
PROMETHEUS=$CACHE/pypi-prometheus-client-0.21.1

# Only bin/python of it is used: that one survives the rename.
make_pypi() {
    python3 -m venv "$1" &&
        "$1/bin/python" -m pip install -q --disable-pip-version-check \
            fluvio==0.21.0 &&
        "$1/bin/python" -c 'import fluvio'
}

# One folder per release, for the Python of $PYPI.
make_old() {
    local release
    for release in 0.14.0 0.15.3 0.16.0 0.16.1 0.16.5 0.20.0; do
        "$PYPI/bin/python" -m pip install -q --disable-pip-version-check \
            --no-deps --target "$1/$release" "fluvio==$release" || return 1
    done
}

make_paho() {
    python3 -m venv "$1" &&
        "$1/bin/python" -m pip install -q --disable-pip-version-check \
            paho-mqtt==2.1.0 &&
        "$1/bin/python" -c 'import paho.mqtt.client'
}

make_prometheus() {
    python3 -m venv "$1" &&
        "$1/bin/python" -m pip install -q --disable-pip-version-check \
            prometheus-client==0.21.1 &&
        "$1/bin/python" -c 'import prometheus_client'
}

# The package's own postinstall step wants a global tsc: it is done by hand.
make_npm() {
    mkdir -p "$1" && cd "$1" && echo '{ "private": true }' >package.json &&
        npm install --silent --no-audit --no-fund --ignore-scripts \
            @fluvio/client@0.14.9 typescript@5.4 @types/node@20 &&
        npx --no-install tsc -p node_modules/@fluvio/client &&
        node -e 'require("@fluvio/client")'
}

make_aedes() {
    mkdir -p "$1" && cd "$1" && echo '{ "private": true }' >package.json &&
        npm install --silent --no-audit --no-fund --ignore-scripts \
            aedes@0.51.3 &&
        node -e 'require("aedes")'
}

# install_client NAME TARGET MAKE: built aside, then renamed, so that what
# stands under its name is complete; two runs at once may both build, one wins.
install_client() {
    local name=$1 target=$2 aside=$2.$$ log=$2.$$.log rc=0
    [ -e "$target/.complete" ] && return 0
    mkdir -p "$CACHE"
    if ("$3" "$aside") >"$log" 2>&1 && touch "$aside/.complete"; then
        rm -rf "$target"
        mv -T "$aside" "$target" 2>/dev/null || [ -e "$target/.complete" ] ||
            rc=1
    else
        echo "not ok - $name can be installed"
        tail -n 8 "$log" | sed 's/^/# /'
        rc=1
    fi
    rm -rf "$aside" "$log"
    return $rc
}

install_pypi() {
    install_client "PyPI fluvio 0.21.0" "$PYPI" make_pypi
}

install_old() {
    install_pypi &&
        install_client "PyPI fluvio 0.14.0 to 0.20.0" "$OLD" make_old
}

install_npm() {
    install_client "npm @fluvio/client 0.14.9" "$NPM" make_npm
}

install_paho() {
    install_client "PyPI paho-mqtt 2.1.0" "$PAHO" make_paho
}

install_prometheus() {
    install_client "PyPI prometheus-client 0.21.1" "$PROMETHEUS" make_prometheus
}

install_aedes() {
    install_client "npm aedes 0.51.3" "$AEDES" make_aedes
}
