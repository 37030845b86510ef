"""The pages of metrics, read by Prometheus' own client library; prints TAP.

    python3 prometheus.py BIN_DIR
"""
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile

from prometheus_client.parser import text_string_to_metric_families

import harness
from harness import check, equal

# A name that has to be escaped.
CONSUMER = 'c"\\\xfc'


def get(connect):
    connect.request("GET", "/metrics")
    answer = connect.getresponse()
    return answer.getheader("Content-Type"), answer.read().decode("utf-8")


def families(page):
    """By name; the parser refuses what is no exposition."""
    found = {}
    for family in text_string_to_metric_families(page):
        if family.name in found:
            raise ValueError(f"{family.name} comes twice")
        found[family.name] = family
    return found


def judge(what, page):
    try:
        found = families(page)
    except ValueError as err:
        check(False, f"prometheus: the {what}'s page can be read", err)
        return {}
    seen, wrong = set(), []
    for family in found.values():
        if family.type == "unknown" or not family.documentation:
            wrong.append(f"{family.name}: no type or no help")
        for s in family.samples:
            key = (s.name, tuple(sorted(s.labels.items())))
            if key in seen:
                wrong.append(f"{key} comes twice")
            seen.add(key)
    check(seen and not wrong, f"prometheus: each sample of the {what} has a "
          "type, help and labels of its own", "\n".join(wrong))
    return found


def values(found, family):
    return {tuple(s.labels.values()): s.value for s in found[family].samples}


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def run(home, fluvio):
    fluvio("topic", "create", "seen", "-p", "3")
    fluvio("produce", "seen", text="1\n2\n3\n")
    fluvio("consume", "seen", "-p", "0", "-B", "-d", "--consumer", CONSUMER)
    with open(f"{home}/.fluvio/data/server.json", encoding="utf-8") as f:
        port = json.load(f)["metrics_port"]
    kind, page = get(http.client.HTTPConnection("127.0.0.1", port))
    check(kind.startswith("text/plain; version=0.0.4"),
          "prometheus: the page names its format", kind)
    found = judge("server", page)
    equal(sum(values(found, "fluvio_partition_records_in").values()), 3,
          "prometheus: the records that went in add up")
    equal(list(values(found, "fluvio_consumer_lag")),
          [("seen", "0", CONSUMER)],
          "prometheus: labels come back as they were")
    judge("manager", get(Unix(f"{home}/.fluvio/data/manager/manager.sock"))[1])


def main():
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, HOME=home, FLV_SC_PORT="0", FLV_SPU_PORT="0",
                   PATH=sys.argv[1] + os.pathsep + os.environ["PATH"])
        env.pop("FLV_PROFILE_PATH", None)

        def fluvio(*words, text=None):
            subprocess.run(["fluvio", *words], env=env, check=True, input=text,
                           text=True, stdout=subprocess.DEVNULL)

        fluvio("cluster", "start", "--metrics-addr", "127.0.0.1:0")
        try:
            run(home, fluvio)
        finally:
            fluvio("cluster", "delete", "--force")
    harness.finish()


if __name__ == "__main__":
    main()
