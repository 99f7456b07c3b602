// Connects, writes, and is ended in the middle.
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/net/index.js')

const [port, wire] = process.argv.slice(2)
const client = connect({ address: `http://127.0.0.1:${port}`, noCache: true, wire })
const socket = over(client).connect('there')
socket.write('something')
process.on('message', how => {
  if (how === 'exits') process.exit(0)
  // Nobody catches it.
  setImmediate(() => {
    throw Error('a bug')
  })
})
