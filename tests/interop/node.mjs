// The npm client @fluvio/client 0.14.9 against fluvio-server; prints TAP.
//
//     FLV_NPM=FOLDER [FLV_PYPI=PYTHON] node node.mjs BIN_DIR
//
// FOLDER holds node_modules, PYTHON can import fluvio. What the client does not offer, and is therefore
// not here: codecs, absolute starts, consumers of several partitions, consumer
// offsets, isolation, acknowledged offsets, watching; its fetch() has no native
// part; sendRecord() ignores its partition.
import { spawn, execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'

// Its native part logs errors of connections that the tests cut.
const env = { ...process.env }
process.env.RUST_LOG = 'off'

const require = createRequire(path.join(process.env.FLV_NPM, 'x.js'))
const { default: Fluvio, Offset, SmartModuleType } = require('@fluvio/client')

let failed = false
const sorted = (list) => [...list].sort()
const range = (from, to) =>
    Array.from({ length: to - from }, (_, n) => from + n)

function check(holds, claim, detail = '') {
    console.log(`${holds ? 'ok' : 'not ok'} - node: ${claim}`)
    if (!holds) {
        failed = true
        for (const line of String(detail).split('\n')) console.log(`# ${line}`)
    }
}

function equal(seen, wanted, claim) {
    const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)]
    const short = (s) => (s?.length > 300 ? s.slice(0, 300) + '...' : s)
    check(a === b, claim, `seen   ${short(a)}\nwanted ${short(b)}`)
}

function within(seconds, promise, what) {
    let timer
    const late = new Promise((_, reject) => {
        timer = setTimeout(
            () => reject(new Error(`${what}: nothing for ${seconds} s`)),
            seconds * 1000)
    })
    return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

async function refusal(claim, pattern, run, seconds = 5) {
    try {
        await within(seconds, run(), 'refusal')
        check(false, claim, 'nothing failed')
    } catch (error) {
        // Its errors are lists of texts.
        const text = error?.message ?? String(error)
        check(pattern.test(text) && !/nothing for/.test(text), claim, text)
    }
}

// What the machine takes from everybody, as Machine of harness.py.
class Machine {
    constructor(folder) {
        this.file = fs.openSync(path.join(folder, 'machine'), 'w')
        this.lost = 0
        this.began = performance.now()
        this.ends = false
        this.over = this.run()
    }

    async run() {
        while (!this.ends) {
            await new Promise((go) => setTimeout(go, 20))
            fs.writeSync(this.file, 'x', 0)
            await new Promise((go) => fs.fdatasync(this.file, go))
            this.lost += this.late()
            this.began = performance.now()
        }
        fs.closeSync(this.file)
    }

    late() {
        return Math.max(0, performance.now() - this.began - 70)
    }

    // A function: the milliseconds since now that the machine had for us.
    watch() {
        const [start, lost] = [performance.now(), this.lost + this.late()]
        return () => performance.now() - start -
            Math.max(0, this.lost + this.late() - lost)
    }

    async end() {
        this.ends = true
        await this.over
    }
}

const here = import.meta.dirname ??
    path.dirname(new URL(import.meta.url).pathname)

// With tls it asks for certificates, and the profile has alice's.
class Server {
    constructor(bin, tls = false) {
        this.bin = bin
        this.work = fs.mkdtempSync(path.join(os.tmpdir(), 'fluvio-interop.'))
        this.data = path.join(this.work, 'data')
        this.profile = path.join(this.work, 'config')
        this.ports = execFileSync('python3', [
            path.join(here, '../programs/ports.py'), '2']).toString().split(' ')
            .map(Number)
        this.options = []
        this.more = ''
        if (tls) this.secure(path.join(this.work, 'pki'))
        for (const e of [env, process.env]) {
            e.HOME = this.work
            e.FLV_PROFILE_PATH = this.profile
        }
    }

    secure(pki) {
        execFileSync(path.join(here, '../pki.sh'), [pki])
        this.options = ['--tls-cert', `${pki}/server.crt`,
            '--tls-key', `${pki}/server.key`,
            '--tls-client-ca', `${pki}/ca.crt`]
        this.more = `[cluster.t.tls]
tls_policy = "verified"
tls_source = "files"
[cluster.t.tls.certs]
domain = "fluvio.test"
cert = "${pki}/alice.crt"
key = "${pki}/alice.key"
ca_cert = "${pki}/ca.crt"
`
    }

    async start() {
        const log = fs.openSync(path.join(this.work, 'server.log'), 'a')
        this.child = spawn(path.join(this.bin, 'fluvio-server'),
            ['--data-dir', this.data, '--sc-port', this.ports[0],
                '--spu-port', this.ports[1], '--ready-fd', '3',
                ...this.options].map(String),
            { env, stdio: ['ignore', log, log, 'pipe'] })
        this.ended = new Promise((done) =>
            this.child.on('exit', (code, signal) => done(signal ?? code)))
        await within(20, Promise.race([
            new Promise((done) => this.child.stdio[3].once('data', done)),
            this.ended.then((how) => {
                throw new Error(`fluvio-server ended: ${how}\n${this.tail()}`)
            })]), 'fluvio-server ready')
        fs.writeFileSync(this.profile, `version = "2.0"
current_profile = "t"
[profile.t]
cluster = "t"
[cluster.t]
endpoint = "127.0.0.1:${this.ports[0]}"
${this.more}`)
    }

    async stop(signal = 'SIGTERM') {
        this.child.kill(signal)
        const late = setTimeout(() => this.child.kill('SIGKILL'), 10000)
        const how = await this.ended
        clearTimeout(late)
        return how
    }

    tail() {
        return fs.readFileSync(path.join(this.work, 'server.log'), 'utf8')
            .split('\n').slice(-9).join('\n')
    }

    hasCli() {
        return fs.existsSync(path.join(this.bin, 'fluvio'))
    }

    cli(args, input = '') {
        return execFileSync(path.join(this.bin, 'fluvio'), args,
            { env, input, timeout: 15000, encoding: 'utf8',
                stdio: ['pipe', 'pipe', 'pipe'] })
    }

    close() {
        this.child.kill('SIGKILL')
        if (failed) console.log('# ' + this.tail().replaceAll('\n', '\n# '))
        fs.rmSync(this.work, { recursive: true, force: true })
    }
}

let server

// connect() without an address reads the profile file.
const connect = () => within(5, Fluvio.connect(), 'connect')

async function topic(name, partitions = 1) {
    const admin = await (await connect()).admin()
    await admin.createTopic(name,
        { partitions, replicationFactor: 1, ignoreRackAssignment: false })
    return name
}

// The next n records of a stream, as [key, value].
async function take(stream, n, seconds = 5) {
    const out = []
    while (out.length < n) {
        const { value, done } = await within(seconds, stream.next(), 'a record')
        if (done) break
        out.push([value.keyString(), value.valueString()])
    }
    return out
}

async function open(name, offset, partition = 0, client = undefined) {
    client ??= await connect()
    const consumer = await client.partitionConsumer(name, partition)
    return within(5, consumer.createStream(offset), 'a stream')
}

async function produce(name, pairs) {
    const producer = await (await connect()).topicProducer(name)
    await producer.sendAll(pairs)
    await producer.flush()
}

const from = (where, index) => new Offset({ from: where, index })

async function administration() {
    const client = new Fluvio({ host: '127.0.0.1', port: server.ports[0] })
    await within(5, client.connect(), 'connect')
    const admin = await client.admin()
    const names = async () => sorted(
        JSON.parse(await admin.listTopic()).map((t) => t.name))
    equal(await names(), [], 'a new server lists no topics')
    equal(await admin.createTopic('adm-one', { partitions: 1 }), 'adm-one',
        'a topic is created, connected by address')
    await topic('adm-three', 3)
    equal(await names(), ['adm-one', 'adm-three'],
        'created topics are listed')
    const found = await admin.findTopic('adm-three')
    equal([found?.name, found?.spec?.replicas?.Computed?.partitions ??
        found?.spec?.replicas?.computed?.partitions,
    found?.status?.resolution], ['adm-three', 3, 'Provisioned'],
    'a topic is found by name, with its partitions and its status')
    equal(await admin.findTopic('adm-none'), null,
        'a name that does not exist finds nothing')
    const partitions = JSON.parse(await admin.listPartitions())
    equal(sorted(partitions.map((p) => p.name)),
        ['adm-one-0', 'adm-three-0', 'adm-three-1', 'adm-three-2'],
        'every partition is listed')
    const spu = JSON.parse(await admin.listSpu())
    equal(spu.map((s) => [s.name, s.spec.spuId, s.spec.publicEndpoint.port,
        s.status.resolution ?? s.status]),
    [['custom-spu-5001', 5001, server.ports[1], 'Online']],
    'the one SPU is listed, online, with its port')
    await produce('adm-one', [['', 'a'], ['', 'b']])
    const one = await admin.findPartition('adm-one')
    equal([one.spec.leader, one.status.resolution,
        Number(one.status.leader.hw), Number(one.status.leader.leo)],
    [5001, 'Online', 2, 2], 'findPartition shows leader, hw and leo')
    await refusal('creating an existing topic says that it exists',
        /already exists/i, () => topic('adm-one'))
    await refusal('deleting a missing topic says that it is not found',
        /not found/i, () => admin.deleteTopic('adm-none'))
    await refusal('an invalid topic name is refused', /invalid/i,
        () => topic('Not_Valid'))
    await refusal('producing to a missing topic fails at once',
        /not found/i, () => client.topicProducer('adm-none'))
    await refusal('consuming a missing topic fails at once', /not ?found/i,
        () => open('adm-none', Offset.FromBeginning(), 0, client))
    await admin.deleteTopic('adm-three')
    equal(await names(), ['adm-one'], 'a deleted topic is gone')
    await admin.createTopic('adm-assigned',
        { maps: [{ id: 0, replicas: [5001] }, { id: 1, replicas: [5001] }] })
    equal(await names(), ['adm-assigned', 'adm-one'],
        'a topic with assigned replicas is created')
    await admin.deleteTopic('adm-assigned')
    await admin.deleteTopic('adm-one')
}

async function records() {
    const name = await topic('rec')
    const pairs = [['k', 'one'], ['k', ''], ['schlüssel', 'wärter ☃']]
    const producer = await (await connect()).topicProducer(name)
    for (const [key, value] of pairs) await producer.send(key, value)
    await producer.sendRecord('no key', 0)
    await producer.flush()
    const raw = Buffer.from(range(0, 256))
    await producer.send(raw, raw)
    await producer.flush()
    const stream = await open(name, Offset.FromBeginning())
    // This client sends an empty key where it means none.
    equal(await take(stream, 4), [...pairs, ['', 'no key']],
        'keys and values come back')
    const { value: last } = await within(5, stream.next(), 'a record')
    check(Buffer.from(last.value()).equals(raw) &&
        Buffer.from(last.key()).equals(raw) && last.hasKey(),
    'every byte value comes back in key and value')
    const consumer = await (await connect()).partitionConsumer(name, 0)
    const seen = await within(5, new Promise((done) => {
        const out = []
        consumer.stream(Offset.FromBeginning(), (record) => {
            out.push(record.valueString())
            if (out.length === 4) done(out)
        })
    }), 'the callback')
    equal(seen, ['one', '', 'wärter ☃', 'no key'],
        'the callback form of a stream gets the same')
}

// A stream with a SmartModule: its file gzipped, or the name of a stored one.
async function sifted(topicName, type, module) {
    const consumer = await (await connect()).partitionConsumer(topicName, 0)
    const config = { maxBytes: 1 << 20, smartmoduleType: type }
    if (module.endsWith('.wasm')) {
        config.smartmoduleData = zlib.gzipSync(fs.readFileSync(path.resolve(
            process.argv[2], '..', 'smartmodules', module))).toString('base64')
    } else {
        config.smartmoduleName = module
    }
    return within(5,
        consumer.streamWithConfig(Offset.FromBeginning(), config), 'a stream')
}

async function transformed() {
    const arrays = await topic('sm-arrays')
    await produce(arrays, [['k', '[1, 2]'], ['', '[]'], ['', '["x"]']])
    const stream = await sifted(arrays, SmartModuleType.ArrayMap,
        'json-array-split.wasm')
    equal(await take(stream, 3), [['k', '1'], ['k', '2'], ['', '"x"']],
        'an array_map that is sent along makes records of its elements')
    await produce(arrays, [['', 'no array']])
    await refusal('a record that fails says why', /no JSON array/,
        () => stream.next())
    const missing = await sifted(arrays, SmartModuleType.Filter, 'missing')
    await refusal('a module that is not stored is named', /missing/,
        () => missing.next())
}

// A filter whose memory has 20,000 pages from the start.
const large = '0061736d01000000' + '01120360027f7f0060017f017f60037f7f7f017f' +
    '02140103656e760c636f70795f7265636f7264730000' + '0303020102' +
    '05050100a09c01' + '071b03066d656d6f72790200' + '05616c6c6f630001' +
    '0666696c7465720002' + '0a0b02040041080b040041000b'

async function tooLarge() {
    const words = await topic('sm-large')
    await produce(words, [['', 'one']])
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fluvio-large-'))
    const file = path.join(folder, 'large.wasm')
    fs.writeFileSync(file, Buffer.from(large, 'hex'))
    const stream = await sifted(words, SmartModuleType.Filter, file)
    await refusal('a module that wants too much memory says how much',
        /1310720000.*268435456/, () => stream.next())
    fs.rmSync(folder, { recursive: true })
}

// SmartModules of the public crate, in Rust.
async function writtenInRust() {
    const words = await topic('rust-words')
    await produce(words, [['k', 'apple'], ['', 'melon'], ['', 'pear two']])
    for (const [module, type, want] of [
        ['filter', SmartModuleType.Filter, [['k', 'apple'], ['', 'pear two']]],
        ['map', SmartModuleType.Map,
            [['k', 'APPLE'], ['', 'MELON'], ['', 'PEAR TWO']]],
        ['array_map', SmartModuleType.ArrayMap,
            [['k', 'apple'], ['', 'melon'], ['', 'pear'], ['', 'two']]]]) {
        const stream = await sifted(words, type, path.join(
            process.env.FLV_RUST_SMARTMODULES, `rust_${module}.wasm`))
        // The server compiles it first.
        equal(await take(stream, want.length, 60), want,
            `${module} in Rust does what it says`)
    }
}

async function starts() {
    const name = await topic('start')
    await produce(name, range(0, 10).map((n) => ['', String(n)]))
    for (const [claim, offset, first] of [
        ['the beginning', Offset.FromBeginning(), 0],
        ['3 from the beginning', from('beginning', 3), 3],
        ['2 from the end', from('end', 2), 8],
        ['more from the end than there are', from('end', 99), 0]]) {
        const stream = await open(name, offset)
        equal((await take(stream, 10 - first)).map((r) => r[1]),
            range(first, 10).map(String), `consuming starts at: ${claim}`)
    }
    const live = await open(name, Offset.FromEnd())
    const machine = new Machine(server.work)
    let slow = 0
    const got = []
    const producer = await (await connect()).topicProducer(name)
    for (const n of range(0, 20)) {
        const watch = machine.watch()
        await producer.send('', `late ${n}`)
        await producer.flush()
        got.push(...await take(live, 1))
        slow = Math.max(slow, watch())
    }
    await machine.end()
    equal(got.map((r) => r[1]), range(0, 20).map((n) => `late ${n}`),
        'a consumer at the end gets each record as it is produced')
    check(slow < 500, 'within half a second each', `${slow} ms`)
}

async function partitions() {
    const name = await topic('part', 16)
    // Known places of Fluvio's partitioner.
    const known = { k: 10, hello: 2, 'key 0': 12, abcdefghi: 14 }
    await produce(name, Object.keys(known).map((k) => [k, k]))
    const places = {}
    for (const [key, partition] of Object.entries(known)) {
        const stream = await open(name, Offset.FromBeginning(), partition)
        const [record] = await take(stream, 1)
        if (record) places[record[0]] = partition
    }
    equal(places, known, 'keyed records lie where the hash says')
    const admin = await (await connect()).admin()
    const sizes = JSON.parse(await admin.listPartitions())
        .filter((p) => p.name.startsWith('part-'))
    equal(sizes.length, 16, 'all 16 partitions are listed')
    if (!server.hasCli()) return
    const seen = {}
    for (const n of range(0, 16)) {
        const out = server.cli(['consume', name, '-B', '-d', '-p', `${n}`,
            '-F', '{{key}}={{partition}}'])
        for (const line of out.split('\n').filter(Boolean)) {
            const [key, partition] = line.split('=')
            seen[key] = Number(partition)
        }
    }
    equal(sorted(Object.entries(seen)), sorted(Object.entries(known)),
        'our consume -p sees the same keys in each partition')
}

async function sizes() {
    const name = await topic('size')
    await produce(name, range(0, 1000).map((n) => ['', String(n % 10)]))
    const stream = await open(name, Offset.FromBeginning())
    equal((await take(stream, 1000)).map((r) => r[1]).join(''),
        range(0, 1000).map((n) => n % 10).join(''),
        '1,000 records of 1 byte arrive in order')
    const producer = await (await connect()).topicProducer(name)
    await producer.send('', 'x'.repeat(16000))
    await producer.flush()
    equal((await take(stream, 1))[0][1].length, 16000,
        'a record of 16,000 bytes arrives whole')
    // Its ceiling is its batch size, which it lets nobody set.
    await refusal('a larger one is refused by the client itself',
        /larger than the buffer/, () => producer.send('', 'x'.repeat(17000)))
    if (!server.hasCli()) return
    const large = ['a'.repeat(100 << 10), 'b'.repeat(1 << 20),
        'c'.repeat((2 << 20) - 200)]
    await topic('size-ours')
    for (const value of large)
        server.cli(['produce', 'size-ours', '--raw'], value)
    const theirs = await open('size-ours', Offset.FromBeginning())
    equal((await take(theirs, 3)).map((r) => r[1].length),
        large.map((v) => v.length),
        'records of up to 2 MB that ours produced are delivered')
}

async function codecs() {
    if (!server.hasCli()) return
    const lines = range(0, 100).map((n) => `line ${n} `.repeat(20))
    for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
        const name = await topic(`codec-${codec}`)
        server.cli(['produce', name, '--compression', codec],
            lines.join('\n') + '\n')
        const stream = await open(name, Offset.FromBeginning())
        equal((await take(stream, 100)).map((r) => r[1]), lines,
            `${codec}: theirs reads ours`)
        // The topic's codec is all that this client takes.
        const fixed = `fixed-${codec}`
        server.cli(['topic', 'create', fixed, '--compression-type', codec])
        await produce(fixed, lines.map((v) => ['k', v]))
        equal(server.cli(['consume', fixed, '-B', '-d']).split('\n'),
            [...lines, ''], `${codec}: ours reads theirs`)
    }
}

// The PyPI client in a process of its own, where run.sh has installed it.
function python(code, ...args) {
    return execFileSync(process.env.FLV_PYPI, ['-c', code, ...args],
        { env, timeout: 20000, encoding: 'utf8' })
}

async function otherClient() {
    if (!process.env.FLV_PYPI) return
    for (const codec of ['None_', 'Gzip', 'Snappy', 'Lz4', 'Zstd']) {
        const name = await topic(`other-${codec.toLowerCase()}`
            .replace('_', ''))
        python(`
import sys
from fluvio import *
config = TopicProducerConfigBuilder().compression(
    getattr(Compression, sys.argv[2])).linger(20).build()
producer = Fluvio.connect().topic_producer_with_config(sys.argv[1], config)
for n in range(100):
    producer.send(b"key", b"value %d " % n + b"x" * 100)
producer.flush()`, name, codec)
        const stream = await open(name, Offset.FromBeginning())
        equal(await take(stream, 100), range(0, 100).map((n) =>
            ['key', `value ${n} ` + 'x'.repeat(100)]),
        `${codec.replace('_', '')}: the PyPI client's records are read`)
    }
    const name = await topic('other-back')
    await produce(name, range(0, 100).map((n) => [`k${n}`, `v${n}`]))
    equal(python(`
import sys
from fluvio import *
stream = Fluvio.connect().partition_consumer(sys.argv[1], 0).stream(
    Offset.beginning())
for n in range(100):
    record = next(stream)
    print(record.key_string(), record.value_string())`, name),
    range(0, 100).map((n) => `k${n} v${n}\n`).join(''),
    'the PyPI client reads this one')
}

async function together() {
    const name = await topic('both')
    const one = async (tag) => {
        const producer = await (await connect()).topicProducer(name)
        for (const n of range(0, 100)) await producer.send(tag, `${n}`)
        await producer.flush()
    }
    await within(15, Promise.all([one('a'), one('b')]), 'two producers')
    const got = await take(await open(name, Offset.FromBeginning()), 200)
    for (const tag of ['a', 'b'])
        equal(got.filter((r) => r[0] === tag).map((r) => r[1]),
            range(0, 100).map(String),
            `two producers at once: ${tag} keeps its order`)
}

async function restarts() {
    for (const signal of ['SIGTERM', 'SIGKILL']) {
        const name = await topic(`again-${signal.toLowerCase()}`)
        const client = await connect()
        const producer = await client.topicProducer(name)
        for (const n of range(0, 20)) await producer.send('k', `${n}`)
        await producer.flush()
        const stream = await open(name, Offset.FromBeginning(), 0, client)
        await take(stream, 20)
        const how = await server.stop(signal)
        equal(how, signal === 'SIGTERM' ? 0 : 'SIGKILL',
            `the server ends by ${signal}`)
        await server.start()
        const again = await open(name, Offset.FromBeginning())
        equal((await take(again, 20)).map((r) => r[1]),
            range(0, 20).map(String),
            `after ${signal} a new client reads everything acknowledged`)
        // This client's streams do not reconnect: the old one ends.
        let end
        try {
            end = (await within(5, stream.next(), 'the end')).done
        } catch (error) {
            end = !/nothing for/.test(error.message)
        }
        check(end, `after ${signal} a stream of before ends`)
        try {
            await within(5, (async () => {
                await producer.send('k', 'old')
                await producer.flush()
            })(), 'the old producer')
            equal(await take(again, 1), [['k', 'old']],
                `after ${signal} a producer of before goes on`)
        } catch (error) {
            check(false, `after ${signal} a producer of before goes on`,
                error.message ?? error)
        }
    }
}

async function secured() {
    const before = server
    server = new Server(before.bin, true)
    try {
        await server.start()
        const admin = await (await connect()).admin()
        await within(5, admin.createTopic('private', { partition: 1 }), 'create')
        const producer = await (await connect()).topicProducer('private')
        for (let n = 0; n < 100; n++) await producer.send('k', `${n}`)
        await within(5, producer.flush(), 'flush')
        const consumer = await (await connect()).partitionConsumer('private', 0)
        const stream = await consumer.createStream(Offset.FromBeginning())
        equal((await take(stream, 100)).map(([, v]) => v),
            range(0, 100).map(String),
            'over TLS with certificates records go both ways')
    } finally {
        await server.stop()
        server.close()
        server = before
        for (const e of [env, process.env]) {
            e.HOME = server.work
            e.FLV_PROFILE_PATH = server.profile
        }
    }
}

async function main() {
    server = new Server(path.resolve(process.argv[2]))
    const wanted = process.argv.slice(3)
    try {
        await server.start()
        for (const run of [administration, records, transformed, tooLarge,
            writtenInRust, starts, partitions, sizes,
            codecs, otherClient, together, secured, restarts]) {
            if (wanted.length && !wanted.includes(run.name)) continue
            const start = performance.now()
            try {
                await within(40, run(), run.name)
            } catch (error) {
                check(false, `${run.name}: runs to its end`,
                    error?.stack ?? error)
            }
            const took = (performance.now() - start) / 1000
            console.log(`# node: ${run.name}: ${took.toFixed(1)} s`)
        }
        equal(await server.stop(), 0, 'the server ends with exit status 0')
    } catch (error) {
        check(false, 'the suite runs', error?.stack ?? error)
    } finally {
        server.close()
    }
    // Streams that wait for records keep the process alive otherwise.
    process.exit(failed ? 1 : 0)
}

await main()
