// The sending process: `client.mjs ADDRESS FILE CHUNK COUNT`. One socket carries the file in messages of CHUNK
// bytes, then COUNT small messages. It knows nothing of brokers that die.
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { connect } from 'selvedge'

process.on('disconnect', () => process.exit(1))

const [address, path, chunk, count] = process.argv.slice(2)
const client = connect({ address })
const socket = client.socket.connect('demo.upload')
await socket.waitUntilReady(10_000)

const file = await timed(sendFile)
const small = await timed(sendSmall)
await socket.end()
client.close()
process.send({ result: { file, small } })

async function sendFile() {
  const hash = createHash('sha256')
  const handle = await open(path)
  let messages = 0
  let offset = 0
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(Number(chunk)))
    if (bytesRead === 0) break
    const data = buffer.subarray(0, bytesRead)
    hash.update(data)
    await send(data, { index: messages++, offset })
    offset += bytesRead
  }
  await handle.close()
  const sha256 = hash.digest('hex')
  await send(null, { end: true, sha256 })
  return { bytes: offset, messages, sha256 }
}

async function sendSmall() {
  for (let n = 0; n < Number(count); n++) {
    const waits = send(`message ${n}`, { n })
    if (waits) await waits
  }
  return { messages: Number(count) }
}

/** Writes at once when there is room, and returns nothing; else a promise that resolves once it is written. */
function send(data, headers) {
  try {
    socket.write(data, { headers })
  } catch (err) {
    // The window is full: the server has not handled what it was sent. Wait for it, then go on.
    if (err.code !== 'ENOBUFS') throw err
    return socket.waitUntilDrain().then(() => send(data, headers))
  }
}

/** The work, and the seconds until the server has handled all of it. */
async function timed(work) {
  const start = performance.now()
  const result = await work()
  await socket.waitUntilDrain()
  return { ...result, seconds: (performance.now() - start) / 1000 }
}
