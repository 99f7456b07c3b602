// Listens, and greets whoever connects: `server.cjs PORT WIRE`.
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/net/index.js')

const [port, wire] = process.argv.slice(2)
const net = over(connect({ address: `http://127.0.0.1:${port}`, noCache: true, wire }))
net.createServer(socket => socket.write('welcome')).listen('there', () => process.send({ listening: true }))
