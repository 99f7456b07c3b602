// What strangers can make of little: of few bytes much memory, much work, or many packets at work.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { decode } from '@msgpack/msgpack'
import { overFlecks, PacketServer, type PacketSocket } from 'selvedge/packets'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { parseSchema } from '../../lib/packets/codec/schema'
import { findHollow } from '../../lib/packets/registry/hollow'
import { FrameAssembler } from '../../lib/packets/socket/frames'
import { dice } from '../support/dice'
import { rejection } from '../support/messages'
import { hex, Num, opened, registry, THEIRS } from './protocol-peer'
import {
  CALL,
  ERROR,
  frame,
  framesOf,
  POST,
  packed,
  RawPeer,
  RESULT,
  SCHEMA,
  text,
  varuint,
} from './raw-peer'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

describe('a stream', () => {
  const MESSAGES = Array.from({ length: 300 }, (_, n) => frame(POST, 3, Buffer.alloc(n * 3, n % 256)))

  test('is put together of pieces cut anywhere', () => {
    const all = Buffer.concat(MESSAGES)
    for (let seed = 0; seed < 20; seed++) {
      const chance = dice(seed)
      const assembler = new FrameAssembler(2000)
      const got: string[] = []
      for (let at = 0; at < all.length; ) {
        const size = chance.pick([1, 2, 3, 100, 5000])
        const frames = assembler.push(Buffer.from(all.subarray(at, at + size)))
        if (frames !== undefined) got.push(...hex(framesOf(frames)))
        at += size
      }
      expect(got).toEqual(hex(MESSAGES.flatMap(framesOf)))
    }
  })

  test('in pieces of one byte takes no more memory than its bytes', () => {
    const assembler = new FrameAssembler(2 ** 20)
    collectGarbage()
    const before = process.memoryUsage()
    assembler.push(varuint(2 ** 20))
    for (let i = 0; i < 200_000; i++) assembler.push(Buffer.from([0]))
    collectGarbage()
    const after = process.memoryUsage()
    const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
    expect(grown).toBeLessThan(5_000_000)
    expect(assembler.push(Buffer.alloc(2 ** 20 - 200_000))).toHaveLength(2 ** 20 + 3)
  })
})

describe('a schema of a stranger', () => {
  const objects = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, {}]))

  test.each<[string, unknown, string | undefined]>([
    [
      'numbers',
      { n: 'uint8', at: { x: 'float32', y: 'float32' }, list: [{ a: 'bool', o: { s: 'string' } }] },
      undefined,
    ],
    [
      'a few empty objects',
      { a: {}, b: {}, list: [{ n: 'uint8', meta: {}, more: {} }], none: [{}] },
      undefined,
    ],
    ['lists of lists', [[['bool', 'uint8']]], undefined],
    ['many empty objects', objects(100), ''],
    ['many in a list', { list: [{ a: 'bool', ...objects(10) }] }, 'list[0]'],
    ['many in a list without bytes', [{ l: ['uint8', { ...objects(5) }] }], '[0].l[1]'],
    ['many where something may be absent', { 'a?': objects(10) }, 'a'],
    ['many in a list of what may be absent', [{ 'a?': { b: { c: ['bool', objects(9)] } } }], '[0].a.b.c[1]'],
    ['deep ones', [{ a: { b: { c: { d: { e: {} } } } } }], '[0]'],
  ])('%s', (_, schema, path) => {
    expect(findHollow(parseSchema(schema))).toBe(path)
  })

  test('that makes a thousand objects of a byte is not read, and what is written with it answered 501', async () => {
    const { k0: _, ...keys } = objects(1000)
    const fields = Object.keys(keys)
      .sort()
      .map(key => `"${key}":{}`)
    const canonical = `{"data":{"n":"uint8","x":[{"a":"bool",${fields.join()}}]}}`
    const peer = new RawPeer(registry, { ...THEIRS, Num: canonical })
    await peer.heard()
    const body = Buffer.concat([Buffer.from([7]), varuint(1_000_000), Buffer.alloc(1_000_000)])
    peer.say(frame(SCHEMA, 3, text(canonical)), frame(CALL, 1, 3, body))
    const [answer] = (await peer.heard()).slice(-1)
    expect([answer![0], answer![1], decode(answer!.subarray(2))]).toEqual([
      ERROR,
      1,
      { code: 501, reason: 'unsupported Num' },
    ])
    expect(peer.closed).toBe('open')
  })

  test('of a name that is not here is taken once', async () => {
    const schema = frame(SCHEMA, 7, text('{"data":"bool"}'))
    const peer = await opened({}, { ...THEIRS, Zed: '{"data":"bool"}' })
    peer.say(schema)
    await peer.heard()
    expect(peer.closed).toBe('open')
    peer.say(schema)
    expect(await peer.whenClosed()).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
  })
})

describe('a message', () => {
  test('of a million posts is handled in many turns, in order, and the end of the link waits for it', async () => {
    const peer = await opened()
    let handled = 0
    let turns = 0
    peer.socket.handle(Num, ({ data }) => {
      if (data.n === 0) handled += 1
    })
    const seen: unknown[] = []
    peer.socket.on('closed', () => seen.push(handled))
    const turn = () => {
      turns += 1
      if (seen.length === 0) setImmediate(turn)
    }
    setImmediate(turn)
    peer.say(Buffer.alloc(4_000_000, frame(POST, 3, 0)))
    peer.cut()
    await peer.whenClosed()
    expect([peer.closed, peer.rejected]).toEqual([undefined, []])
    expect(seen).toEqual([1_000_000])
    expect(turns).toBeGreaterThan(5)
  })

  test('behind one that is at work waits for it', async () => {
    const peer = await opened()
    const got: number[] = []
    peer.socket.handle(Num, ({ data }) => {
      if (data.n > 0) got.push(data.n)
    })
    const many = Buffer.alloc(400_000, frame(POST, 3, 0))
    const asked = peer.socket.send(['Num', { n: 1 }])
    for (let n = 1; n <= 5; n++) peer.say(many, frame(POST, 3, n))
    peer.say(frame(RESULT, 1, packed('answer')))
    expect([await asked, got]).toEqual(['answer', [1, 2, 3, 4, 5]])
  })
})

test('a bundle is as many packets at work as are in it', async () => {
  const peer = await opened({ limits: { acceptors: 2 } })
  const ends: (() => void)[] = []
  peer.socket.handle(Num, ({ data }) => (data.n === 0 ? 'at once' : new Promise<void>(end => ends.push(end))))
  const inside = [1, 0, 1, 1, 1, 0].map(n => Buffer.from([1, 0, 0, 0, 3, 0, n]))
  peer.say(frame(CALL, 1, 1, varuint(7 * inside.length), ...inside))
  await peer.heard()
  expect(ends).toHaveLength(3)
  for (const end of ends) end()
  const [answer] = await peer.heard()
  const tooMany = { error: { code: 429, reason: 'too many packets at work' } }
  expect(decode(answer!.subarray(2))).toEqual([{}, { value: 'at once' }, {}, {}, tooMany, tooMany])
  peer.say(frame(CALL, 2, 3, 0))
  expect((await peer.heard())[0]![0]).toBe(RESULT)
})

test('what a flecks peer never acknowledges is forgotten when its time is over', async () => {
  const http = createServer().listen(0, '127.0.0.1')
  await once(http, 'listening')
  const sockets = new Server(http)
  const server = new PacketServer(sockets, registry, { link: overFlecks, timeout: 50 })
  const connection = once(server as never, 'connection') as Promise<[PacketSocket]>
  const client = io(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, {
    forceNew: true,
    reconnection: false,
    transports: ['websocket'],
  })
  const [socket] = await connection
  const [{ acks }] = [...sockets.sockets.sockets.values()] as unknown as [{ acks: Map<number, unknown> }]
  const errors = await Promise.all([1, 2, 3].map(n => rejection(socket.send(['Num', { n }]))))
  expect(errors.map(({ code }) => code)).toEqual(Array(3).fill('ERR_PACKET_TIMEOUT'))
  while (acks.size > 0) await new Promise(setImmediate)
  client.disconnect()
  await server.close()
  await sockets.close()
})
