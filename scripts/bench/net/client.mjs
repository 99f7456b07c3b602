// What the client of a measurement does. Each task resolves with `count` in its unit, and with its figure.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { now, sleep } from '../clock.mjs'
import { certificate } from '../contenders/transports.mjs'
import { opens, trips } from '../loops.mjs'
import { chunkOf } from './pattern.mjs'

const MiB = 1024 * 1024
const trust = { ca: certificate('ca'), servername: 'localhost' }

export function clientTasks({ net, tls, agent, sender }, places) {
  const open = place => net.connect({ ...place, noDelay: true })
  const secured = place => tls.connect({ ...place, ...trust })
  const counted = async () => JSON.parse(await answerOf(open(places.counter)))
  const idle = []

  return {
    stream: ({ dur, size }) => stream(open(places.sink), { dur, size }),
    tls: ({ dur, size }) => stream(secured(places.secure), { dur, size }),
    slow: ({ size }) => stream(open(places.slow), { limit: size, size: 64 * 1024 }),
    echo: task => echo(open(places.echo), task),
    connects: ({ dur }) =>
      opens({ dur, parallel: 1, max: Infinity, open: () => closing(open(places.closing)) }),
    http: task => requests(agent(places.http, { maxSockets: task.connections }), places.http, task),
    pgbench: task => pgbench(places.postgres, task),

    async crowd({ count, size }) {
      const start = now()
      const one = () => stream(open(places.sink), { limit: size, size: 64 * 1024 })
      await Promise.all(Array.from({ length: count }, one))
      const bytes = count * size
      return { count: bytes / MiB, bytes: (bytes / (now() - start)) * 1000 }
    },

    async datagrams({ dur, size }) {
      const before = (await counted()).datagrams
      const { sent, elapsed } = await datagrams(sender(), places.datagrams, { dur, size })
      // What is under way may still come.
      await sleep(100)
      const count = (await counted()).datagrams - before
      return { count, rate: (count / elapsed) * 1000, lost: 1 - count / sent }
    },

    /** Opens `count` sockets that do nothing. */
    async idle({ count }) {
      for (let n = 0; n < count; n++) {
        const socket = open(places.echo)
        idle.push(socket)
        await once(socket, 'connect')
      }
    },
  }
}

async function echo(socket, { dur, size }) {
  await once(socket, 'connect')
  let [waiting, left] = [undefined, Buffer.alloc(0)]
  socket.on('data', chunk => {
    left = left.length === 0 ? chunk : Buffer.concat([left, chunk])
    if (left.length < size) return
    const answer = left
    left = Buffer.alloc(0)
    waiting(answer)
  })
  const request = data =>
    new Promise(resolve => {
      waiting = resolve
      socket.write(data)
    })
  const result = await trips({ dur, size, parallel: 1, request })
  socket.destroy()
  return result
}

async function closing(socket) {
  socket.end()
  socket.resume()
  await closed(socket)
}

async function requests(made, { host = 'web', port }, { dur, connections }) {
  const request = () =>
    new Promise((resolve, reject) => {
      http
        .get({ agent: made, host, port }, response => {
          let length = 0
          response.on('data', chunk => {
            length += chunk.length
          })
          response.on('end', () => (length === 100 ? resolve() : reject(Error(`${length} bytes came`))))
        })
        .on('error', reject)
    })
  let count = 0
  const start = now()
  const loop = async () => {
    for (; now() < start + dur; count++) await request()
  }
  await Promise.all(Array.from({ length: connections }, loop))
  const rate = (count / (now() - start)) * 1000
  made.destroy()
  return { count, rate }
}

async function datagrams(send, place, { dur, size }) {
  const data = chunkOf(size)
  const start = now()
  let sent = 0
  while (now() < start + dur) {
    // So many at once, as a program that has much to say; what is refused is lost.
    await new Promise(resolve => {
      let open = 128
      const done = () => {
        if (--open === 0) resolve()
      }
      for (let n = open; n > 0; n--) send(data, place, done)
    })
    sent += 128
  }
  return { sent, elapsed: now() - start }
}

async function pgbench({ host, port }, { dur, program }) {
  const seconds = Math.max(1, Math.round(dur / 1000))
  const args = ['-S', '-n', '-h', host, '-p', port, '-U', 'postgres', '-T', seconds, 'postgres']
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let told = ''
  child.stdout.on('data', text => {
    told += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw Error(`pgbench ended with ${code}`)
  const find = pattern => Number(pattern.exec(told)[1])
  return { count: find(/actually processed: (\d+)/), rate: find(/tps = ([\d.]+)/) }
}

/** Writes for `dur` ms, or `limit` bytes, and waits until the other end has said that it read them all. */
async function stream(socket, { dur = Infinity, limit = Infinity, size }) {
  const chunk = chunkOf(size)
  await once(socket, socket.encrypted ? 'secureConnect' : 'connect')
  const answer = answerOf(socket)
  const start = now()
  let sent = 0
  for (let n = 0; sent < limit && (n % 16 !== 0 || now() < start + dur); n++) {
    sent += size
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  socket.end()
  const told = await answer
  if (told !== String(sent)) throw Error(`${sent} bytes were sent; the reader says: ${told}`)
  return { count: sent / MiB, bytes: (sent / (now() - start)) * 1000 }
}

function answerOf(socket) {
  return new Promise((resolve, reject) => {
    let told = ''
    socket.on('data', chunk => {
      told += chunk
    })
    socket.on('end', () => resolve(told)).on('error', reject)
  })
}

const closed = socket =>
  new Promise((resolve, reject) => socket.on('error', reject).on('close', hadError => hadError || resolve()))
