// One process of a stream: the broker, the reader, who stops reading for a while, or the writer. Tells its memory before and at its worst.
import { connect, init } from 'selvedge'

const [role, address, wire, size, total, pause, broker] = process.argv.slice(2)
const messages = Math.ceil(Number(total) / Number(size))
const LOOK_EVERY = 8 * 1024 * 1024
const rss = () => process.memoryUsage.rss()
let before = 0
let most = 0

/** What the process needs anyway is not counted: code and buffers that the first messages bring. */
function watch() {
  globalThis.gc?.()
  before = most = rss()
  setInterval(look, 50).unref()
}

/** What is held counts, not what V8 has not collected yet: it lets 32 MiB of dead buffers pile up, with a bare `net` socket as with ours. */
function look() {
  globalThis.gc?.()
  most = Math.max(most, rss())
}

/** Looks by the bytes that went through as well: on a busy machine a stretch of time may see any number of them. */
function lookBetween(count) {
  if ((count * Number(size)) % LOOK_EVERY < Number(size)) look()
}

function tell(more) {
  process.stdout.write(`${JSON.stringify({ role, ...more })}\n`)
}

const grown = () => most - before

if (role === 'broker') {
  const server = init({ port: 0 })
  await server.waitUntilReady()
  tell({ address: `http://127.0.0.1:${server.address().port}` })
  let isWatching = false
  process.on('SIGUSR2', () => {
    if (!isWatching) watch()
    else {
      tell({ grown: grown() })
      void server.close().then(() => process.exit())
    }
    isWatching = true
  })
} else {
  const client = connect({ address, wire, noCache: true })
  if (role === 'reader') {
    const server = client.socket.listen('stream')
    server.on('connection', socket => {
      let read = 0
      let inOrder = true
      socket.on('data', (data, { n }) => {
        inOrder &&= n === read && data.length === Number(size)
        read += 1
        if (read === 100) watch()
        else if (read > 100) lookBetween(read)
        if (read === 110 && Number(pause) > 0) {
          socket.pause()
          setTimeout(() => socket.resume(), Number(pause))
        }
        if (read === messages) tell({ read, inOrder, grown: grown() })
      })
      socket.on('closed', () => client.close())
    })
    await server.waitUntilReady()
    tell({})
  } else {
    const socket = client.socket.connect('stream', { maxQueueBytes: 16 * 1024 * 1024 })
    await socket.waitUntilReady()
    const payload = Buffer.alloc(Number(size), 7)
    let full = 0
    for (let n = 0; n < messages; n++) {
      if (n === 100) {
        watch()
        process.kill(Number(broker), 'SIGUSR2')
      } else if (n > 100) lookBetween(n)
      while (true) {
        try {
          socket.write(payload, { headers: { n } })
          break
        } catch (error) {
          if (error.code !== 'ENOBUFS') throw error
          full += 1
          await new Promise(resolve => setTimeout(resolve, 1))
        }
      }
    }
    await socket.drain()
    tell({ full: full > 0, grown: grown(), stats: socket.stats })
    await socket.end()
    await client.close()
  }
}
