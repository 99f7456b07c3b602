// Writes much at once to a reader that rests: `memory.cjs PORT how BYTES`. Tells when it has written, and in the end what it
// had at most: bytes by which the process grew, those kept in buffers beside what it wrote, and those under way. Needs --expose-gc.
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/net/index.js')

const [port, how, bytes] = process.argv.slice(2)
const total = Number(bytes)
const SMALL = 8 * 1024
// Touched, so that it is resident before anything is measured.
const buffer = Buffer.alloc(total)
for (let at = 0; at < total; at += 4096) buffer.writeUInt32LE(at, at)
const client = connect({ address: `http://127.0.0.1:${port}`, noCache: true })
const socket = over(client).connect('big', { highWaterMark: how === 'small' ? total : 16 * 1024 })

socket.on('connect', () => {
  let [grown, kept, pending] = [0, 0, 0]
  const first = process.memoryUsage.rss()
  const look = () => {
    grown = Math.max(grown, process.memoryUsage.rss() - first)
    pending = Math.max(pending, socket.session.stats.pendingBytes)
    // Without what is garbage already, for which V8 has no hurry.
    gc()
    kept = Math.max(kept, process.memoryUsage().arrayBuffers - total)
  }
  if (how === 'one') socket.write(buffer)
  else {
    socket.cork()
    for (let at = 0; at < total; at += SMALL) socket.write(buffer.subarray(at, at + SMALL))
    socket.uncork()
  }
  look()
  const looking = setInterval(look, 50)
  socket.end()
  process.send({ written: true })
  socket.resume().on('close', hadError => {
    clearInterval(looking)
    process.send({ grown, kept, pending, hadError })
    client.close()
    process.disconnect()
  })
})
