#!/usr/bin/env python3
"""Right connector files, changed in one place each: what `fluvio connector
check` says about every one has to be the expected exit code and line.

    mutations.py FLUVIO      prints TAP
"""
import json
import os
import subprocess
import sys
import tempfile

HTTP = """\
version: v1
name: cat-facts
type: http
topic: cat-facts
create_topic: true
direction: source
parameters:
  endpoint: https://catfact.ninja/fact
  interval: 10
"""
TEST = """\
version: latest
name: my-test-connector
type: test-connector
topic: my-test-connector
create_topic: true
direction: source
parameters:
  topic: my-test-connector
"""
MQTT = """\
version: latest
name: my-test-mqtt
type: mqtt
topic: my-mqtt
create_topic: true
direction: source
parameters:
  mqtt-url: "mqtt.hsl.fi"
  mqtt-topic: "/hfp/v2/journey/#"
  fluvio-topic: my-mqtt
"""
LATE = """\
api_version: v1
version: 0.1.0
name: late
type: http-source
topic: late
parameters:
  endpoint: http://127.0.0.1:1/
  header: ["A: 1", "B: 2"]
  output_type: json
producer:
  linger: 100ms
  compression: gzip
  batch-size: 16 KB
restart: on-failure
limits:
  memory: 512 MB
  files: 1024
"""
META = """\
apiVersion: 0.1.0
meta:
  name: meta
  type: http-source
  version: latest
  topic: meta
  producer:
    linger: 10ms
http:
  endpoint: http://127.0.0.1:1/
  interval: 10s
  timeout: 5s
"""
META2 = """\
apiVersion: 0.2.0
meta:
  name: meta
  type: http-source
  version: 0.1.0
  topic:
    meta:
      name: meta
    partition:
      count: 1
    retention:
      time: 7d
  restart: always
custom:
  endpoint: http://127.0.0.1:1/
  method: POST
  body: "{}"
"""
BASES = {"http": HTTP, "test": TEST, "mqtt": MQTT, "late": LATE,
         "meta": META, "meta2": META2}

cases = []  # (what, text, exit code, line of a problem or None)


def add(what, text, code, line=None):
    cases.append((what, text, code, line))


def number(text, begin):
    """Line, from 1, that begins so (blanks apart)."""
    for i, line in enumerate(text.split("\n"), 1):
        if line.strip().startswith(begin):
            return i
    raise KeyError(begin)


def edit(text, begin, new):
    """The line replaced (None: removed), indentation kept; a list: by each."""
    lines = text.split("\n")
    at = number(text, begin) - 1
    blanks = lines[at][:len(lines[at]) - len(lines[at].lstrip())]
    news = [] if new is None else [new] if isinstance(new, str) else new
    lines[at:at + 1] = [blanks + n for n in news]
    return "\n".join(lines)


def keys(text):
    for line in text.split("\n"):
        word = line.strip()
        if ":" in word and not word.startswith("#"):
            yield word.split(":", 1)[0], word


def right():
    for base, text in BASES.items():
        add(base, text, 0)
        add(base + " with Windows line ends", text.replace("\n", "\r\n"), 0)
        add(base + " with comments",
            "# top\n" + text.replace("\n", "  # more\n"), 0)
        add(base + " with a document mark", "---\n" + text, 0)
    for base in "http", "test", "mqtt":
        for key, word in keys(BASES[base]):
            if key in ("topic", "name"):
                value = word.split(":", 1)[1].strip()
                add(f"{base} with quotes around {key}",
                    edit(BASES[base], word, f"{key}: '{value}'"), 0)
        add(base + " with create-topic",
            BASES[base].replace("create_topic", "create-topic"), 0)
        add(base + " without direction", edit(BASES[base], "direction", None),
            0)
        add(base + " without version", edit(BASES[base], "version", None), 0)
    for form in '10', '"10"', '10s', '10000ms', '"1m 5s"', '1.5s':
        add(f"interval {form}", edit(HTTP, "interval", f"interval: {form}"), 0)
    add("underscores", LATE.replace("batch-size", "batch_size"), 0)
    add("hyphens", LATE.replace("output_type", "output-type"), 0)
    add("JSON", json.dumps({"name": "a", "type": "http", "topic": "b",
                            "parameters": {"endpoint": "http://h/"}}), 0)
    add("an unknown key is a warning", HTTP + "colour: red\n", 0, 10)


def keys_slip():
    """A letter too few, too many, or wrong, in every key."""
    for base, text in BASES.items():
        for key, word in keys(text):
            if len(key) < 5 or key in ("apiVersion", "custom"):
                continue
            line = number(text, word)
            rest = word[len(key):]
            for slip in (key[:2] + key[3:], key[:3] + "q" + key[3:]):
                add(f"{base}: {slip} for {key}", edit(text, word, slip + rest),
                    1, line)


def keys_twice():
    for base, text in BASES.items():
        for key, word in keys(text):
            if word.endswith(":"):
                continue
            line = number(text, word)
            add(f"{base}: {key} twice", edit(text, word, [word, word]), 1,
                line + 1)


def keys_gone():
    for base, needed in (("http", ("name", "type", "topic")),
                         ("mqtt", ("name", "type", "topic"))):
        for key in needed:
            add(f"{base} without {key}", edit(BASES[base], key + ":", None), 1,
                1)
    add("http without endpoint", edit(HTTP, "endpoint", None), 1, 7)
    add("mqtt without mqtt-url", edit(MQTT, "mqtt-url", None), 1, 7)
    add("meta without endpoint", edit(META, "endpoint", None), 1, 9)
    for key in "name", "type", "version", "topic":
        add(f"meta without {key}", edit(META, key, None), 1, 3)


def values_wrong():
    bad = {
        "interval": ("ten", "-1", "10 parsecs", "[1, 2]", "", "0", "{a: 1}"),
        "create_topic": ("yes", "1", "maybe", ""),
        "direction": ("sideways", ""),
        "version": ("9.9.9", "dev", "2"),
        "type": ("htp", "nothing-like-it", ""),
        "name": ("Cat", "-a", "a b", "a_b", "x" * 64, ""),
        "topic": ("Cat", "a_b", "a.b", "-a", ""),
        "endpoint": ("catfact.ninja", "ftp://h/", "wsss://h/", "", "[a, b]",
                     "{a: b}", "${{ secret.X }}"),
    }
    for key, values in bad.items():
        line = number(HTTP, key)
        for value in values:
            add(f"http: {key}: {value}",
                edit(HTTP, key + ":", f"{key}: {value}"), 1, line)
    more = {
        "output_type": ("jsn", "TEXT"), "linger": ("1", "soon"),
        "compression": ("zip",), "batch-size": ("aoeu", "0"),
        "restart": ("sometimes",), "memory": ("1", "much"),
        "files": ("1", "-5"), "header": ("[\"no colon\"]",),
    }
    for key, values in more.items():
        for value in values:
            add(f"late: {key}: {value}",
                edit(LATE, key + ":", f"{key}: {value}"), 1,
                number(LATE, key + ":"))
    # There is an http-sink, which has no interval; there is no mqtt-sink.
    add("http: direction: sink", edit(HTTP, "direction", "direction: sink"),
        1, 9)
    add("mqtt: direction: sink", edit(MQTT, "direction", "direction: sink"),
        1, number(MQTT, "direction"))
    add("http: type: http-sink", edit(HTTP, "type:", "type: http-sink"), 1, 6)
    add("apiVersion", edit(META, "apiVersion", "apiVersion: 3.0.0"), 1, 1)
    add("meta: topic with settings in 0.1.0",
        edit(META, "topic", "topic: {meta: {name: x}}"), 1, 6)
    add("count", edit(META2, "count", "count: none"), 1, 10)
    add("time", edit(META2, "time", "time: 7 suns"), 1, 12)
    for value in "-1", "many", "1.5", "99999999999999999999":
        add(f"test: count: {value}", TEST + f"  count: {value}\n", 1, 9)
    add("test: topic differs", edit(TEST, "topic: my-test-connector",
                                    "topic: other"), 1, 8)


def settings_wrong():
    for key in "config", "secrets", "describe", "check", "log-file":
        add(f"http: {key}", HTTP + f"  {key}: x\n", 1, 10)
    add("replaced", HTTP + "  output_format: body\n", 1, 10)
    add("two names", HTTP + "  linger: 1s\nproducer:\n  linger: 2s\n", 1, 12)
    add("two spellings", HTTP + "  output-type: text\n  output_type: json\n",
        1, 11)
    add("unknown", HTTP + "  colour: red\n", 1, 10)
    add("settings twice", META + "custom:\n  endpoint: http://h/\n", 1, 14)
    add("transforms are no list", HTTP + "transforms: x\n", 1, 10)
    add("a transform without uses",
        HTTP + "transforms:\n  - with: {a: b}\n", 1, 11)
    add("parameters are no map", "name: a\ntype: http\ntopic: b\n"
        "parameters: none\n", 1, 4)


def not_yaml():
    for base, text in BASES.items():
        add(f"{base}: a quote without an end", text + "x: \"\n", 1)
        add(f"{base}: a bracket without an end", text + "x: [\n", 1)
        add(f"{base}: a tab", text.replace("\n  ", "\n\t", 1), 1)
        add(f"{base}: cut in a word", text[:20], 1)
    add("empty", "", 1)
    add("a list", "- a\n", 1, 1)
    add("a word", "hello\n", 1, 1)
    add("two documents", HTTP + "---\n" + TEST, 1, 10)


def check(fluvio, folder):
    names = []
    for i, (_, text, _, _) in enumerate(cases):
        names.append(os.path.join(folder, f"{i:03}.yml"))
        with open(names[-1], "w", newline="") as out:
            out.write(text)
    run = subprocess.run([fluvio, "connector", "check", "-O", "json", *names],
                         stdout=subprocess.PIPE, check=False)
    return json.loads(run.stdout)


def main():
    for make in (right, keys_slip, keys_twice, keys_gone, values_wrong,
                 settings_wrong, not_yaml):
        make()
    print(f"1..{len(cases) + 1}")
    enough = len(cases) >= 200
    print(f"{'ok' if enough else 'not ok'} 1 {len(cases)} files")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        answers = check(sys.argv[1], folder)
    for i, ((what, _, code, line), a) in enumerate(zip(cases, answers), 2):
        lines = [p["line"] for p in a["problems"]]
        good = a["valid"] == (code == 0) and (line is None or line in lines)
        # A mistake without a place helps nobody.
        good = good and (code == 0 or len(lines) > 0)
        print(f"{'ok' if good else 'not ok'} {i} {what}")
        if not good:
            failed += 1
            print(f"# expected code {code}, line {line}; got", json.dumps(a))
    return 1 if failed or not enough or len(answers) != len(cases) else 0


if __name__ == "__main__":
    sys.exit(main())
