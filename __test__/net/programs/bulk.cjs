// One end of a long stream: `bulk.cjs PORT read|write BYTES`. The reader rests now and then, and tells what it has read.
const { createHash } = require('node:crypto')
const { Readable, Writable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/net/index.js')

const MIB = 1024 * 1024
const [port, role, bytes] = process.argv.slice(2)
const total = Number(bytes)
const net = over(
  connect({
    address: `http://127.0.0.1:${port}`,
    noCache: true,
    reconnectionDelay: 20,
    reconnectionDelayMax: 100,
  }),
)

/** Bytes that are different everywhere, made as they are read. */
function* source() {
  const size = 64 * 1024
  for (let at = 0; at < total; at += size) {
    const chunk = Buffer.alloc(Math.min(size, total - at), (at / size) % 251)
    chunk.writeUInt32LE(at / size, 0)
    yield chunk
  }
}

async function write() {
  const hash = createHash('sha256')
  const chunks = (function* () {
    for (const chunk of source()) {
      hash.update(chunk)
      yield chunk
    }
  })()
  await pipeline(Readable.from(chunks), net.connect('bulk').resume())
  process.send({ hash: hash.digest('hex') })
}

function read() {
  const server = net.createServer(async socket => {
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
    await pipeline(socket, sink)
    process.send({ read: count, hash: hash.digest('hex') })
  })
  server.listen('bulk', () => process.send({ listening: true }))
}

if (role === 'write') write()
else read()
process.on('disconnect', () => process.exit())
