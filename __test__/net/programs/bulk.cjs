// One end of a long stream: `bulk.cjs PORT read|write BYTES [TLS]`, TLS being options as JSON. The reader rests now and then, and
// tells what it has read. Behind the end it says an eighth of that back, over the half that is still open.
const { createHash } = require('node:crypto')
const { once } = require('node:events')
const { Readable, Writable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/net/index.js')
const { over: overTls } = require('../../../dist/tls/index.js')

const MIB = 1024 * 1024
const [port, role, bytes, tls] = process.argv.slice(2)
const total = Number(bytes)
const client = connect({
  address: `http://127.0.0.1:${port}`,
  noCache: true,
  reconnectionDelay: 20,
  reconnectionDelayMax: 100,
})
const net = tls === undefined ? over(client) : overTls(client)
const options = { allowHalfOpen: true, ...JSON.parse(tls ?? '{}') }

/** Bytes that are different everywhere, made as they are read, and what they are. */
function source(size) {
  const hash = createHash('sha256')
  const piece = 64 * 1024
  function* chunks() {
    for (let at = 0; at < size; at += piece) {
      const chunk = Buffer.alloc(Math.min(piece, size - at), (at / piece) % 251)
      chunk.writeUInt32LE(at / piece, 0)
      hash.update(chunk)
      yield chunk
    }
  }
  return { stream: Readable.from(chunks()), hash }
}

async function write() {
  const { stream, hash } = source(total)
  const back = createHash('sha256')
  const socket = net.connect('bulk', options)
  socket.on('data', chunk => back.update(chunk))
  const closed = once(socket, 'close')
  stream.pipe(socket)
  await closed
  process.send({ hash: hash.digest('hex'), back: back.digest('hex') })
}

async function serve(socket) {
  const hash = createHash('sha256')
  let [count, rested] = [0, 0]
  const sink = new Writable({
    write(chunk, _encoding, done) {
      hash.update(chunk)
      count += chunk.length
      if (count - rested < 4 * MIB) return done()
      rested = count
      process.send({ read: count })
      setTimeout(done, 10)
    },
  })
  const closed = once(socket, 'close')
  await pipeline(socket, sink)
  const back = source(total / 8)
  back.stream.pipe(socket)
  await closed
  process.send({ read: count, hash: hash.digest('hex'), back: back.hash.digest('hex') })
}

if (role === 'write') write()
else net.createServer(options, serve).listen('bulk', () => process.send({ listening: true }))
process.on('disconnect', () => process.exit())
