// One end of a tunnel: `bridge.cjs PORT expose|forward TARGET`, where TARGET is a port or a path. Says when it is there, and where.
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/net/index.js')

const [port, role, target] = process.argv.slice(2)
const net = over(connect({ address: `http://127.0.0.1:${port}`, noCache: true }))
const to = /^\d+$/.test(target) ? { port: Number(target) } : { path: target }
const server = role === 'expose' ? net.expose('bridge', to) : net.forward('bridge', { port: 0 })
server.on('listening', () => process.send({ port: server.address().port }))
process.on('disconnect', () => process.exit())
