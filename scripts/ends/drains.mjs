// Drains at random moments, of servers that pause and resume by themselves: what was written is handled, or undelivered, and never
// both.
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { connect } = require(fileURLToPath(new URL('../..', import.meta.url)))

const below = bound => Math.floor(Math.random() * bound)
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function drainOnce(address, n) {
  const host = connect({ address, noCache: true })
  const guest = connect({ address, noCache: true })
  const listener = host.socket.listen(`drain.${n}`)
  const handled = new Map()
  listener.on('connection', async socket => {
    const mine = []
    handled.set(socket.id, mine)
    const isLoop = below(3) === 0
    if (!isLoop) {
      socket.on('data', data => {
        mine.push(data)
        if (below(20) > 0) return
        socket.pause()
        setTimeout(() => socket.resume(), below(10))
      })
      return
    }
    try {
      for await (const [data] of socket) {
        mine.push(data)
        if (below(10) === 0) await sleep(below(5))
      }
    } catch {
      // Told by `closed`.
    }
  })
  await listener.waitUntilReady()
  const sockets = Array.from({ length: 1 + below(4) }, () => guest.socket.connect(`drain.${n}`))
  const gone = sockets.map(socket => once(socket, 'closed'))
  await Promise.all(sockets.map(socket => socket.waitUntilReady()))
  let isOver = false
  const written = sockets.map(() => 0)
  const writing = sockets.map(async (socket, at) => {
    while (!isOver && socket.state !== 'closed') {
      for (let burst = below(30); burst > 0 && socket.state !== 'closed'; burst--) {
        try {
          socket.write(written[at] + 1)
          written[at] += 1
        } catch (error) {
          if (error.code !== 'ENOBUFS' && error.code !== 'EPIPE') throw error
        }
      }
      await sleep(below(3))
    }
  })
  await sleep(below(60))
  const ways = [
    () => listener.drain({ deadline: 400, spread: below(50) }),
    () => host.drain({ deadline: 400, spread: 0 }),
  ]
  await ways[below(2)]()
  await Promise.all(gone)
  isOver = true
  await Promise.all(writing)
  const wrong = sockets.flatMap((socket, at) => {
    const all = [...(handled.get(socket.id) ?? []), ...socket.undelivered().map(({ data }) => data)]
    return all.length === written[at] && all.every((data, i) => data === i + 1)
      ? []
      : [{ n, written: written[at], all }]
  })
  await Promise.all([host.close(), guest.close()])
  return { wrong, written: written.reduce((sum, count) => sum + count, 0) }
}

export async function drains(address, count, check) {
  const wrong = []
  let written = 0
  for (let n = 0; n < count; n++) {
    const result = await drainOnce(address, n)
    wrong.push(...result.wrong)
    written += result.written
  }
  check(
    wrong.length === 0,
    `${count} drains, ${written} messages: ${wrong.length} not exact ${JSON.stringify(wrong.slice(0, 1)).slice(0, 300)}`,
  )
}
