// Connects, writes, and is ended in the middle.
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/net/index.js')

const client = connect({ address: `http://127.0.0.1:${process.argv[2]}`, noCache: true, wire: 'selvedge' })
const socket = over(client).connect('there')
socket.write('something')
process.on('message', () => process.exit(0))
