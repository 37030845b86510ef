// The npm client, unmodified, against fluvio-server. Prints TAP.
"use strict";

const { execFileSync } = require("child_process");
const path = require("path");
const { default: Fluvio, Offset } = require("@fluvio/client");

const SERVER = path.join(__dirname, "..", "server.sh");
// Key and its partition among 16, as every Fluvio client computes it.
const KEYS = { k: 10, hello: 2, "key 0": 12, abcdefghi: 14 };

function assert(truth, what) {
    if (!truth) throw new Error(what);
}

function same(got, want) {
    const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
    assert(a === b, `got ${a}, want ${b}`);
}

const server = (...commands) =>
    commands.forEach((c) => execFileSync(SERVER, [c]));

async function create(name, partitions = 1) {
    const admin = await (await Fluvio.connect()).admin();
    await admin.createTopic(name, { partitions });
}

async function produce(topic, values) {
    const producer = await (await Fluvio.connect()).topicProducer(topic);
    for (const value of values) await producer.send("", value);
    await producer.flush();
}

async function consume(topic, offset, count, partition = 0) {
    const client = await Fluvio.connect();
    const consumer = await client.partitionConsumer(topic, partition);
    const values = [];
    for await (const record of await consumer.createStream(offset)) {
        values.push(record.valueString());
        if (values.length === count) break;
    }
    return values;
}

async function fails(call, words) {
    try {
        await call();
    } catch (error) {
        assert(words.test(String(error)), `unexpected error: ${error}`);
        return;
    }
    throw new Error("no error");
}

const numbers = (n) => Array.from({ length: n }, (_, i) => `v${i}`);

const tests = {
    async "admin creates, finds, lists and deletes topics"() {
        await create("js-admin", 3);
        const admin = await (await Fluvio.connect()).admin();
        const topic = await admin.findTopic("js-admin");
        same(topic.name, "js-admin");
        assert(/js-admin/.test(await admin.listTopic()), "not listed");
        assert(/js-admin-2/.test(await admin.listPartitions()), "no partition");
        assert(/5001/.test(await admin.listSpu()), "no SPU");
        await admin.deleteTopic("js-admin");
        assert(!/js-admin/.test(await admin.listTopic()), "still listed");
    },
    async "existing topic is an error"() {
        await create("js-twice");
        await fails(() => create("js-twice"), /already exists/i);
    },
    async "missing topic is an error"() {
        const admin = await (await Fluvio.connect()).admin();
        await fails(() => admin.deleteTopic("js-none"), /not found/i);
        await fails(() => produce("js-none", ["x"]), /not ?found/i);
    },
    async "keys choose the same partition as everywhere"() {
        await create("js-keys", 16);
        const client = await Fluvio.connect();
        const producer = await client.topicProducer("js-keys");
        for (const key of Object.keys(KEYS)) await producer.send(key, key);
        await producer.flush();
        for (const [key, partition] of Object.entries(KEYS)) {
            const got = await consume(
                "js-keys", Offset.FromBeginning(), 1, partition);
            same(got, [key]);
        }
    },
    async "every kind of start"() {
        await create("js-starts");
        await produce("js-starts", numbers(10));
        const at = (offset, count) => consume("js-starts", offset, count);
        same(await at(Offset.FromBeginning(), 10), numbers(10));
        same(await at(new Offset({ index: 8, from: "beginning" }), 2),
            ["v8", "v9"]);
        same(await at(new Offset({ index: 3, from: "end" }), 3),
            ["v7", "v8", "v9"]);
        const late = consume("js-starts", Offset.FromEnd(), 1);
        let got = null;
        late.then((values) => { got = values; });
        // The stream may begin before or behind any one of these.
        for (let i = 0; i < 100 && got === null; i++) {
            await produce("js-starts", [`late ${i}`]);
        }
        assert((await late)[0].startsWith("late"), "not from the end");
    },
    async "several partitions keep their order"() {
        await create("js-many", 4);
        const client = await Fluvio.connect();
        const producer = await client.topicProducer("js-many");
        for (let i = 0; i < 200; i++) {
            await producer.send(`key ${i % 20}`, String(i));
        }
        await producer.flush();
        const admin = await client.admin();
        const sizes = JSON.parse(await admin.listPartitions())
            .filter((p) => p.name.startsWith("js-many-"))
            .map((p) => [p.name, p.status.leader.leo]);
        let total = 0;
        for (const [name, count] of sizes) {
            total += count;
            const values = (await consume("js-many", Offset.FromBeginning(),
                count, Number(name.split("-").pop()))).map(Number);
            same(values, [...values].sort((a, b) => a - b));
        }
        same(total, 200);
    },
    async "clients come back after a restart"() {
        await create("js-restart");
        await produce("js-restart", numbers(20));
        server("kill", "start");
        await produce("js-restart", ["after"]);
        same(await consume("js-restart", Offset.FromBeginning(), 21),
            [...numbers(20), "after"]);
    },
    async "records of the other client are read"() {
        // Written by the PyPI tests, when they ran.
        const admin = await (await Fluvio.connect()).admin();
        if (!/"keys"/.test(await admin.listTopic())) return "SKIP not there";
        for (const [key, partition] of Object.entries(KEYS)) {
            same(await consume("keys", Offset.FromBeginning(), 1, partition),
                [`py ${key}`]);
        }
    },
    async "four codecs of the other client are read"() {
        const admin = await (await Fluvio.connect()).admin();
        if (!/"py-zstd"/.test(await admin.listTopic())) {
            return "SKIP not there";
        }
        for (const codec of ["gzip", "snappy", "lz4", "zstd"]) {
            const got = await consume(
                `py-${codec}`, Offset.FromBeginning(), 200);
            same(got.length, 200);
            same(got[199], "value 199 " + "x".repeat(100));
        }
    },
};

const limit = (promise) => Promise.race([promise, new Promise((_, reject) => {
    setTimeout(() => reject(new Error("still running after 60 s")),
        60000).unref();
})]);

async function main() {
    let number = 0;
    let failed = 0;
    for (const [name, test] of Object.entries(tests)) {
        number++;
        try {
            const skip = await limit(test());
            console.log(`ok ${number} - npm: ${name}` +
                (skip ? ` # ${skip}` : ""));
        } catch (error) {
            failed++;
            console.log(`not ok ${number} - npm: ${name}`);
            console.log(String(error.stack || error).replace(/^/gm, "# "));
        }
    }
    process.exit(failed === 0 ? 0 : 1);
}

main();
