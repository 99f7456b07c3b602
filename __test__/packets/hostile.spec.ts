// Attackers of a server of packets, beside a neighbour who goes on as if nothing was: never a process that ends, an exception,
// a call that hangs, memory without a bound, or a neighbour who waits a second.
import { on, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { io } from 'socket.io-client'
import { WebSocket } from 'ws'
import { dice } from '../support/dice'
import { until } from '../support/events'
import { STALL_MS, stopwatch } from '../support/stall'
import { Child } from './child'
import { CALL, ERROR, frame, framesOf, HELLO, hello, POST, packed, RESULT, text, varuint } from './raw-peer'

/** Big 1, Bundle 2, Echo 3, Num 4, Redirect 5, Refresh 6, Slow 7. */
const THEIRS = {
  Big: '{"data":{}}',
  Bundle: '{"data":"buffer"}',
  Echo: '{"data":"packed"}',
  Num: '{"data":{"n":"uint8"}}',
  Redirect: '{"data":"string"}',
  Refresh: '{"data":{}}',
  Slow: '{"data":{}}',
}
/** A process that has done nothing yet grows by what it loads and compiles; and garbage is left for a while. */
const MAX_GROWTH = 400 * 1024 * 1024

let victim: Child
let neighbour: Child
let ports: { tcp: number; web: number; flecks: number }
let before: number

beforeAll(async () => {
  ;[victim, neighbour] = await Promise.all([Child.start('victim.cjs'), Child.start('victim.cjs')])
  ports = await victim.ask('serve')
  await neighbour.ask('visit', { port: ports.tcp })
  before = (await victim.ask('report')).rss
})

afterEach(async () => {
  const [attacked, watched] = [await victim.ask('report'), await neighbour.ask('witness')]
  expect([attacked.broken, watched.broken, watched.failed]).toEqual([[], [], []])
  expect(watched.count).toBeGreaterThanOrEqual(2)
  // How long a neighbour may wait; its calls time out in ten seconds, whatever else the machine does.
  expect(attacked.longestTurn).toBeLessThan(1000)
  expect(attacked.rss - before).toBeLessThan(MAX_GROWTH)
})

afterAll(async () => {
  await neighbour.stop()
  await victim.ask('hurry')
  await victim.stop()
})

/** A connection that says what no honest side would. */
class Attacker {
  readonly socket: Socket
  readonly closed: Promise<unknown>
  #heard: Buffer[] = []
  readonly #frames: Buffer[] = []

  constructor() {
    this.socket = connect(ports.tcp, '127.0.0.1')
    this.socket.on('error', () => undefined)
    this.closed = new Promise(resolve => this.socket.on('close', resolve))
    this.socket.on('data', chunk => this.#heard.push(chunk))
  }

  say(...frames: Uint8Array[]): this {
    this.socket.write(Buffer.concat(frames))
    return this
  }

  /** Frames that came, without the HELLO. */
  async frames(count: number): Promise<Buffer[]> {
    for (;;) {
      this.#cut()
      if (this.#frames.length > count) return this.#frames.slice(1)
      await once(this.socket, 'data')
    }
  }

  /** Cuts off the frames that are whole. */
  #cut(): void {
    const bytes = Buffer.concat(this.#heard)
    let end = 0
    for (let at = 0; at < bytes.length; ) {
      let length = 0
      for (let shift = 1, byte = 128; byte >= 128 && at < bytes.length; shift *= 128) {
        byte = bytes[at++]!
        length += (byte & 127) * shift
      }
      at += length
      if (at <= bytes.length) end = at
    }
    this.#frames.push(...framesOf(bytes.subarray(0, end)))
    this.#heard = [bytes.subarray(end)]
  }
}

const attacker = () => new Attacker().say(hello(THEIRS))

test('100 000 malformed packets in a row end their connection after 100', async () => {
  const one = attacker().say(...Array(100_000).fill(frame(POST, 4, '0102')))
  await one.closed
})

test.each<[string, Uint8Array]>([
  ['a text of 2 GiB', frame(CALL, 1, 5, 'ffffffff07')],
  ['MessagePack of 200 000 levels', frame(CALL, 1, 3, varuint(200_001), Buffer.alloc(200_000, 0x91), '01')],
  ['a map of 2^32', frame(CALL, 1, 3, '05dfffffffff')],
  [
    'a list of 2^32 in a megabyte',
    frame(CALL, 1, 3, varuint(1_000_005), 'ddffffffff', Buffer.alloc(1_000_000)),
  ],
  ['a bundle of 5000 levels', frame(CALL, 1, 2, levels(5000))],
  [
    'a bundle of 20 000 packets',
    frame(CALL, 1, 2, varuint(120_000), ...Array(20_000).fill(Buffer.from('000000000600', 'hex'))),
  ],
])('%s is answered 400, also a hundred times from ten connections', async (_, call) => {
  const bodies = Array.from({ length: 9 }, (_, i) => frame(CALL, i + 2, framesOf(call)[0]!.subarray(2)))
  const all = Array.from({ length: 10 }, () => attacker().say(call, ...bodies))
  for (const one of all) {
    const answers = await one.frames(10)
    expect(answers.map(each => [each[0], each[1]])).toEqual(Array.from({ length: 10 }, (_, i) => [4, i + 1]))
    one.socket.destroy()
  }
})

test('20 000 calls of what takes long: as many as may be are at work, the others are answered 429', async () => {
  const one = attacker()
  const calls = Array.from({ length: 20_000 }, (_, i) => frame(CALL, varuint(i + 1), 7))
  one.say(...calls)
  await one.frames(1)
  expect((await victim.ask('report')).working).toBeLessThanOrEqual(4096)
  const answers = await one.frames(20_000)
  expect(answers).toHaveLength(20_000)
  // Some of those at work have ended before the last call came: then there is room for others.
  expect(answers.filter(each => each[0] === ERROR).length).toBeGreaterThan(1000)
  one.socket.destroy()
})

test('posts without end to what takes long hold back whoever sends them', async () => {
  const one = attacker()
  const chunk = Buffer.concat(Array(100_000).fill(frame(POST, 7)))
  for (let i = 0; i < 100; i++) one.socket.write(chunk)
  let left = one.socket.writableLength
  for (let isMoving = true; isMoving; ) {
    await new Promise(resolve => setTimeout(resolve, 250))
    isMoving = one.socket.writableLength < left
    left = one.socket.writableLength
  }
  // Of 30 MB the server has read what it keeps, and the system what it buffers.
  expect(left).toBeGreaterThan(15_000_000)
  one.socket.destroy()
})

test('whoever asks for half a gigabyte and does not read it is cut off', async () => {
  const one = attacker()
  one.socket.pause()
  one.say(...Array.from({ length: 1000 }, (_, i) => frame(CALL, varuint(i + 1), 1)))
  await once(one.socket, 'connect')
  const port = one.socket.localPort
  await until(async () => await victim.ask('isConnected', { port }))
  await until(async () => !(await victim.ask('isConnected', { port })))
  // What was buffered for it is all that it gets.
  one.socket.resume()
  await one.closed
})

test('frames at random from 200 connections', async () => {
  const all = Array.from({ length: 200 }, (_, seed) => {
    const chance = dice(seed)
    const one = chance.below(2) === 0 ? attacker() : new Attacker()
    const random = () =>
      Array.from({ length: chance.below(12) }, () => chance.pick([0, 1, 2, 3, 0x7f, 0xff, chance.below(256)]))
    for (let i = 0; i < 10; i++)
      one.say(chance.below(2) === 0 ? frame(...random(), 0) : Buffer.from(random()))
    return one
  })
  await new Promise(resolve => setTimeout(resolve, 200))
  for (const one of all) one.socket.destroy()
  await Promise.all(all.map(one => one.closed))
})

test('a HELLO of 2^31 names, of a name of 2 GiB, and half of one', async () => {
  const inputs = [
    frame(HELLO, 1, 'ffffffff07'),
    frame(HELLO, 1, 1, 'ffffffff07'),
    frame(HELLO, 1, 9, text('x')),
    frame(HELLO, 2, 0),
  ]
  await Promise.all(inputs.map(input => new Attacker().say(input).closed))
  const half = new Attacker().say(hello(THEIRS).subarray(0, 30))
  half.socket.destroy()
  await half.closed
})

/** How long somebody takes who comes now, and calls. */
async function arrival(): Promise<number> {
  const waited = stopwatch(victim.pid)
  const one = attacker().say(frame(CALL, 1, 3, varuint(1), packed(1)))
  await one.frames(1)
  one.socket.destroy()
  return waited()
}

test('2000 that say nothing, or a HELLO byte by byte, keep nobody out, and go when the time for it is over', async () => {
  const all: Attacker[] = []
  while (all.length < 2000) {
    const some = Array.from({ length: 200 }, () => new Attacker())
    await Promise.all(some.map(one => once(one.socket, 'connect')))
    // Not more at once than the kernel's queue takes: whom it forgets hears of no end. Behind an arrival, all are accepted.
    await arrival()
    all.push(...some)
  }
  const words = hello(THEIRS)
  let at = 0
  const drip = setInterval(() => {
    for (let n = 0; n < all.length; n += 2) all[n]!.socket.write(words.subarray(at, at + 1))
    at += 1
  }, 500)
  try {
    for (let n = 0; n < 20; n++) expect(await arrival()).toBeLessThan(STALL_MS)
    await Promise.all(all.map(one => one.closed))
    expect(at).toBeLessThan(words.length)
  } finally {
    clearInterval(drip)
    for (const one of all) one.socket.destroy()
  }
}, 60_000)

test('half of the head of a request from 1000, where WebSockets are expected, keeps nobody out', async () => {
  const all = Array.from({ length: 1000 }, () => connect(ports.web, '127.0.0.1').on('error', () => undefined))
  for (const one of all) one.write('GET / HTTP/1.1\r\nHost: x\r\nUpgr')
  await Promise.all(all.map(one => once(one, 'connect')))
  for (let n = 0; n < 20; n++) {
    const waited = stopwatch(victim.pid)
    const socket = new WebSocket(`ws://127.0.0.1:${ports.web}`)
    socket.on('error', () => undefined)
    await once(socket, 'message')
    expect(waited()).toBeLessThan(STALL_MS)
    socket.terminate()
  }
  for (const one of all) one.destroy()
})

test('floods of connections that come and go, with a HELLO or without, keep nobody waiting', async () => {
  let isOver = false
  const flood = async (n: number): Promise<void> => {
    while (!isOver) {
      const one = n % 2 === 0 ? attacker() : new Attacker()
      await once(one.socket, 'connect')
      one.socket.destroy()
      await one.closed
    }
  }
  const floods = Array.from({ length: 50 }, (_, n) => flood(n))
  try {
    for (let n = 0; n < 30; n++) expect(await arrival()).toBeLessThan(STALL_MS)
  } finally {
    isOver = true
    await Promise.all(floods)
  }
})

test('texts and frames on a WebSocket', async () => {
  const all = ['hello', '', Buffer.alloc(0), Buffer.from('ffffffff07', 'hex'), frame(POST, 4, 1)]
  for (const message of all) {
    const socket = new WebSocket(`ws://127.0.0.1:${ports.web}`)
    socket.on('error', () => undefined)
    await once(socket, 'open')
    socket.send(message)
    await once(socket, 'close')
  }
})

/** A WebSocket that has said HELLO. */
async function webAttacker(): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${ports.web}`)
  socket.on('error', () => undefined)
  await once(socket, 'open')
  socket.send(hello(THEIRS))
  return socket
}

test('7 million posts in one message are handled in turns, and what is behind them as well', async () => {
  const socket = await webAttacker()
  socket.send(Buffer.alloc(28_000_000, frame(POST, 4, 1)))
  socket.send(frame(CALL, 1, 3, '0107'))
  for await (const [message] of on(socket, 'message')) if (framesOf(message)[0]![0] === RESULT) break
  socket.terminate()
}, 60_000)

test('5 million posts in one message to what takes long wait as bytes, until their connection ends', async () => {
  const socket = await webAttacker()
  socket.send(Buffer.alloc(15_000_000, frame(POST, 7)))
  while (socket.bufferedAmount > 0) await new Promise(setImmediate)
  // Of this connection, and those before it.
  expect((await victim.ask('report')).working).toBeLessThanOrEqual(2 * 4096)
  await neighbour.ask('witness')
  socket.terminate()
}, 60_000)

test('what ends a server of flecks: JSON in the place of bytes, and events without an attachment', async () => {
  const socket = io(`http://127.0.0.1:${ports.flecks}`, {
    forceNew: true,
    reconnection: false,
    transports: ['websocket'],
  })
  await once(socket as never, 'connect')
  const emit = socket.emit.bind(socket) as (...args: unknown[]) => void
  for (const args of [
    [{ length: 300_000_000 }],
    [5],
    [null],
    [],
    ['hello'],
    [{ type: 'Buffer', data: [1] }],
    [Buffer.from([7])],
  ]) {
    expect(await new Promise(resolve => emit(4, ...args, resolve))).toEqual(
      args[0] instanceof Buffer ? null : { code: 400, reason: 'malformed Num' },
    )
  }
  expect(await new Promise(resolve => emit(2, Buffer.from('06ffffffff0800', 'hex'), resolve))).toEqual({
    code: 400,
    reason: 'malformed Bundle',
  })
  socket.disconnect()
})

test('answers to an honest side have gone on all the while', async () => {
  const one = attacker().say(frame(CALL, 1, 3, '0107'))
  const [answer] = await one.frames(1)
  expect(answer).toEqual(Buffer.concat([Buffer.from([3, 1]), packed(7)]))
  one.socket.destroy()
})

function levels(count: number): Buffer {
  let body = Buffer.from('00', 'hex')
  for (let i = 1; i < count; i++) {
    const head = Buffer.alloc(6)
    head.writeUInt32LE(body.length)
    head.writeUInt16LE(2, 4)
    body = Buffer.concat([varuint(6 + body.length), head, body])
  }
  return body
}
