// An MQTT 3.1.1 broker made of npm's aedes, for mqtt.py.
//
//     FLV_AEDES=FOLDER node broker.cjs PORT
//
// Prints `listening PORT`. SIGUSR2 cuts every connection; what it keeps of its
// sessions is in memory, so that they survive that and not its death. Who
// says a password has to know it; nobody may subscribe to forbidden/.
'use strict'

const { createRequire } = require('module')
const net = require('net')
const path = require('path')

const load = createRequire(path.join(process.env.FLV_AEDES, 'index.js'))
const Aedes = load('aedes')

const aedes = new Aedes({
  authenticate (client, user, password, done) {
    const good = user == null ||
      (user === 'ada' && String(password) === 'secret:1')
    done(null, good)
  },
  authorizeSubscribe (client, filter, done) {
    done(null, filter.topic.startsWith('forbidden/') ? null : filter)
  }
})
const sockets = new Set()
const server = net.createServer((socket) => {
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket))
  aedes.handle(socket)
})
process.on('SIGUSR2', () => sockets.forEach((socket) => socket.destroy()))
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  console.log('listening', server.address().port)
})
