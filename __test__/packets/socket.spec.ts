// Sending and accepting, over every way to connect.
import { type EventEmitter, once } from 'node:events'
import { Packet, PacketRegistry, type PacketSocket, ValidationError } from 'selvedge/packets'
import { rejection } from '../support/messages'
import { describeWays } from './ways'

const Where = Packet({ id: 'uint32' }, { result: { x: 'float32', y: 'float32' } })
class Slap extends Packet({ 'why?': 'string' }) {}
class Ask extends Packet({ n: 'varuint' }) {}
const ToServer = Packet({}, { direction: 'toServer' })
const Serial = Packet({ n: 'varuint' }, { order: 'serial' })
const packets = new PacketRegistry({ Where, Slap, Ask, ToServer, Serial })

/** A promise, and what settles it. */
function gate<T = void>() {
  let open!: (value: T) => void
  const opened = new Promise<T>(resolve => (open = resolve))
  return { open, opened }
}

const next = (emitter: PacketSocket, event: string) => once(emitter as unknown as EventEmitter, event)

describeWays('a socket', stage => {
  test('sends packets by name and as instances, both ways, and gets their typed answers', async () => {
    const listener = await stage.listen(packets)
    listener.handle(Where, ({ data }) => ({ x: data.id, y: 0.5 }))
    const { socket, server } = await stage.connect(packets)
    const answer = await socket.send(['Where', { id: 7 }])
    const { x, y } = answer
    expect([x, y]).toEqual([7, 0.5])
    expect(await socket.send(new Where({ id: 8 }))).toEqual({ x: 8, y: 0.5 })
    socket.handle(Ask, async ({ data }) => [data.n, new Date(data.n), Buffer.from([data.n])])
    expect(await server.send(['Ask', { n: 3 }])).toEqual([3, new Date(3), Buffer.from([3])])
    await socket.close()
  })

  test('resolves with undefined when the other side has nothing to say, and with null', async () => {
    const listener = await stage.listen(packets)
    listener.handle(Ask, () => null)
    const { socket } = await stage.connect(packets)
    expect(await socket.send(['Slap'])).toBeUndefined()
    expect(await socket.send(['Ask', { n: 1 }])).toBeNull()
    await socket.close()
  })

  test('delivers posts in their order, with calls among them', async () => {
    const listener = await stage.listen(packets)
    const seen: number[] = []
    listener.handle(Ask, ({ data }) => void seen.push(data.n))
    const { socket } = await stage.connect(packets)
    for (let n = 0; n < 2000; n++) socket.post(['Ask', { n }])
    await socket.send(['Ask', { n: 2000 }])
    for (let n = 2001; n < 2010; n++) socket.post(['Ask', { n }])
    await socket.send(['Slap'])
    expect(seen).toEqual(Array.from({ length: 2010 }, (_, n) => n))
    await socket.close()
  })

  test('what is sent before the connection stands waits, in order', async () => {
    const listener = await stage.listen(packets)
    const seen: unknown[] = []
    listener.handle(Ask, ({ data }) => {
      seen.push(data.n)
      return data.n
    })
    const connecting = stage.connect(packets)
    const { socket } = await connecting
    socket.post(['Ask', { n: 1 }])
    const answers = Promise.all([socket.send(['Ask', { n: 2 }]), socket.send(['Ask', { n: 3 }])])
    expect(await answers).toEqual([2, 3])
    expect(seen).toEqual([1, 2, 3])
    await socket.close()
  })

  test('runs packets side by side: a slow one holds up no other', async () => {
    const listener = await stage.listen(packets)
    const { open, opened } = gate()
    listener.handle(Ask, async ({ data }) => {
      if (data.n === 1) await opened
      return data.n
    })
    const { socket } = await stage.connect(packets)
    const slow = socket.send(['Ask', { n: 1 }])
    expect(await socket.send(['Ask', { n: 2 }])).toBe(2)
    open()
    expect(await slow).toBe(1)
    await socket.close()
  })

  test('a call is settled once: by its answer, its timeout, its signal, or the end', async () => {
    const listener = await stage.listen(packets)
    const { open, opened } = gate()
    let started = 0
    listener.handle(Ask, async ({ data }) => {
      started += 1
      await opened
      return data.n
    })
    const { socket } = await stage.connect(packets)
    const errors: unknown[] = []
    socket.on('sendError', (error, packet) => errors.push([error.code, packet]))
    expect(await rejection(socket.send(['Ask', { n: 1 }], { timeout: 30 }))).toMatchObject({
      code: 'ERR_PACKET_TIMEOUT',
      packet: 'Ask',
    })
    const controller = new AbortController()
    const cancelled = socket.send(['Ask', { n: 2 }], { signal: controller.signal })
    controller.abort('enough')
    expect(await rejection(cancelled)).toMatchObject({ code: 'ERR_PACKET_ABORTED', cause: 'enough' })
    expect(await rejection(socket.send(['Ask', { n: 2 }], { signal: controller.signal }))).toMatchObject({
      code: 'ERR_PACKET_ABORTED',
    })
    const answered = socket.send(['Ask', { n: 3 }], { timeout: 60_000, signal: new AbortController().signal })
    open()
    expect(await answered).toBe(3)
    expect(started).toBe(3)
    const ended = socket.send(['Ask', { n: 4 }])
    const closing = socket.close()
    expect(await rejection(ended)).toMatchObject({ code: 'ERR_PACKET_CLOSED', packet: 'Ask' })
    await closing
    expect(await rejection(socket.send(['Slap']))).toMatchObject({ code: 'ERR_PACKET_CLOSED' })
    expect(() => socket.post(['Slap'])).toThrow(expect.objectContaining({ code: 'ERR_PACKET_CLOSED' }))
    expect(errors).toEqual([
      ['ERR_PACKET_TIMEOUT', ['Ask', { n: 1 }]],
      ['ERR_PACKET_ABORTED', ['Ask', { n: 2 }]],
      ['ERR_PACKET_ABORTED', ['Ask', { n: 2 }]],
      ['ERR_PACKET_CLOSED', ['Ask', { n: 4 }]],
      ['ERR_PACKET_CLOSED', ['Slap']],
    ])
  })

  test('what cannot be sent rejects, or throws, with the packet and the place, and ends no process', async () => {
    await stage.listen(packets)
    const { socket } = await stage.connect(packets)
    const told = { code: 'ERR_PACKET_ENCODE', packet: 'Ask', path: 'n' }
    expect(await rejection(socket.send(['Ask', { n: -1 }]))).toMatchObject(told)
    expect(() => socket.post(['Ask', { n: -1 }])).toThrow(expect.objectContaining(told))
    expect(await rejection(socket.send(['Nope' as 'Ask']))).toMatchObject({ code: 'ERR_PACKET_UNKNOWN' })
    expect(await rejection(socket.send(['Slap'], { timeout: 0 }))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    })
    expect(await rejection(socket.send(['Slap'], { retries: 3 } as never))).toMatchObject({
      code: 'ERR_UNKNOWN_OPTION',
    })
    // Nobody looks at this one.
    socket.send(['Ask', { n: 'x' as never }])
    expect(await socket.send(['Slap'])).toBeUndefined()
    await socket.close()
  })

  test('packets are encoded when they are sent, and never changed', async () => {
    const listener = await stage.listen(packets)
    const seen: unknown[] = []
    listener.handle(Slap, ({ data }) => void seen.push(data.why))
    const { socket } = await stage.connect(packets)
    const data = Object.seal({ why: 'first' })
    socket.post(['Slap', data])
    const second = socket.send(['Slap', data])
    data.why = 'changed'
    await second
    expect(seen).toEqual(['first', 'first'])
    await socket.close()
  })

  test('a bundle is answered with what came of each packet, in order and nested', async () => {
    const listener = await stage.listen(packets)
    const started: number[] = []
    listener.handle(Ask, async ({ data }) => {
      started.push(data.n)
      if (data.n === 2) throw new ValidationError({ code: 404, reason: 'none' })
      if (data.n === 3) throw Error('secret')
      return data.n === 4 ? undefined : data.n
    })
    const { socket } = await stage.connect(packets)
    const inner = [
      'Bundle',
      [
        ['Ask', { n: 4 }],
        ['Ask', { n: 5 }],
        ['Redirect', '/'],
      ],
    ]
    expect(
      await socket.send(['Bundle', [['Ask', { n: 1 }], new Ask({ n: 2 }), ['Ask', { n: 3 }], inner]]),
    ).toEqual([
      { value: 1 },
      { error: { code: 404, reason: 'none' } },
      { error: { code: 500, reason: 'error' } },
      [{}, { value: 5 }, { error: { code: 403, reason: 'Redirect is not for a server' } }],
    ])
    expect(started).toEqual([1, 2, 3, 4, 5])
    await socket.close()
  })

  test('two sides whose handlers ask each other do not wait for each other', async () => {
    const listener = await stage.listen(packets)
    listener.handle(Ask, async ({ data }, socket) => {
      return data.n === 0 ? 'end' : await socket.send(['Ask', { n: data.n - 1 }])
    })
    const { socket } = await stage.connect(packets)
    socket.handle(Ask, async ({ data }) =>
      data.n === 0 ? 'end' : await socket.send(['Ask', { n: data.n - 1 }]),
    )
    expect(await Promise.all(Array.from({ length: 50 }, () => socket.send(['Ask', { n: 20 }])))).toEqual(
      Array(50).fill('end'),
    )
    await socket.close()
  })

  test('a handler is one, and the socket s wins over the server s', async () => {
    const listener = await stage.listen(packets)
    listener.handle(Ask, () => 'server')
    expect(() => listener.handle(Ask, () => 'another')).toThrow(
      expect.objectContaining({ code: 'ERR_PACKET_HANDLED' }),
    )
    const { socket, server } = await stage.connect(packets)
    const stop = server.handle(Ask, () => 'socket')
    expect(() => server.handle(Ask, () => 'another')).toThrow(
      expect.objectContaining({ code: 'ERR_PACKET_HANDLED' }),
    )
    expect(await socket.send(['Ask', { n: 1 }])).toBe('socket')
    stop()
    stop()
    expect(await socket.send(['Ask', { n: 1 }])).toBe('server')
    class Stranger extends Packet {}
    expect(() => server.handle(Stranger, () => 1)).toThrow(
      expect.objectContaining({ code: 'ERR_PACKET_UNKNOWN' }),
    )
    await socket.close()
  })

  test('what context returns is in req, beside the id, the server and a signal of the end', async () => {
    const listener = await stage.listen(packets, {
      context: given => ({ hasConnection: given !== undefined }),
    })
    listener.handle(Slap, (_, { req }) => req.hasConnection)
    const { socket, server } = await stage.connect(packets)
    expect(await socket.send(['Slap'])).toBe(true)
    expect(server.req).toMatchObject({ socketId: server.id, server: listener, hasConnection: true })
    expect([...listener.sockets.values()]).toEqual([server])
    const { signal } = server.req
    expect(signal.aborted).toBe(false)
    const closed = next(server, 'closed')
    await socket.close()
    await closed
    expect(signal.aborted).toBe(true)
    expect(listener.sockets.size).toBe(0)
  })

  test('a server sends to all, or to those in a room', async () => {
    const listener = await stage.listen(packets)
    const all = [await stage.connect(packets), await stage.connect(packets), await stage.connect(packets)]
    const seen: string[] = []
    for (const [index, { socket }] of all.entries()) {
      socket.handle(Slap, ({ data }) => void seen.push(`${index} ${data.why}`))
    }
    const settled = () => Promise.all(all.map(({ server }) => server.send(['Ask', { n: 1 }])))
    all[0]!.server.join('red')
    all[2]!.server.join('red')
    all[2]!.server.join('blue')
    expect(all[2]!.server.rooms).toEqual(['red', 'blue'])
    listener.send(['Slap', { why: 'all' }])
    listener.to('red').send(['Slap', { why: 'red' }])
    listener.to('nobody').send(new Slap({ why: 'nobody' }))
    await settled()
    expect(seen.sort()).toEqual(['0 all', '0 red', '1 all', '2 all', '2 red'])
    seen.length = 0
    all[2]!.server.leave('red')
    listener.to('red').send(['Slap', { why: 'again' }])
    await settled()
    expect(seen).toEqual(['0 again'])
    expect(() => all[0]!.socket.join('red')).toThrow(
      expect.objectContaining({ code: 'ERR_PACKET_UNSUPPORTED' }),
    )
    expect(() => listener.send(['Slap', { why: 7 as never }])).toThrow(
      expect.objectContaining({ code: 'ERR_PACKET_ENCODE' }),
    )
    await Promise.all(all.map(({ socket }) => socket.close()))
  })

  test('a large packet travels, and one that is too large does not', async () => {
    const Blob = Packet('buffer', { result: 'buffer' })
    const registry = new PacketRegistry({ Blob })
    const listener = await stage.listen(registry)
    listener.handle(Blob, ({ data }) => data)
    const { socket } = await stage.connect(registry)
    const blob = Buffer.alloc(2 ** 20 - 3, 7)
    const answers = await Promise.all([1, 2, 3].map(() => socket.send(['Blob', blob])))
    for (const answer of answers) expect(blob.equals(answer)).toBe(true)
    expect(await rejection(socket.send(['Blob', Buffer.alloc(2 ** 20)]))).toMatchObject({
      code: 'ERR_PACKET_TOO_LARGE',
      packet: 'Blob',
    })
    await socket.close()
  })

  test('the limits of a socket win over those of its registry, both ways', async () => {
    const Blob = Packet('buffer', { result: 'buffer' })
    const registry = new PacketRegistry({ Blob }, { limits: { packetBytes: 100 } })
    const limits = { packetBytes: 300_000, bundlePackets: 2 }
    const listener = await stage.listen(registry, { limits })
    listener.handle(Blob, ({ data }) => data)
    const { socket } = await stage.connect(registry, { limits })
    const blob = Buffer.alloc(200_000, 1)
    expect(blob.equals(await socket.send(['Blob', blob]))).toBe(true)
    expect(await rejection(socket.send(['Blob', Buffer.alloc(300_000)]))).toMatchObject({
      code: 'ERR_PACKET_TOO_LARGE',
    })
    const slaps = Array(3).fill(['Refresh']) as never
    expect(await rejection(socket.send(['Bundle', slaps]))).toMatchObject({ code: 400 })
    await socket.close()
  })

  test('a writer that waits when it is told to loses nothing, however slow the reader is', async () => {
    const Blob = Packet('buffer')
    const registry = new PacketRegistry({ Blob })
    const listener = await stage.listen(registry, { limits: { acceptors: 2, queueBytes: 200_000 } })
    let count = 0
    listener.handle(Blob, async () => {
      await new Promise(setImmediate)
      count += 1
    })
    const { socket } = await stage.connect(registry, { limits: { queueBytes: 200_000 } })
    for (let i = 0; i < 300; i++)
      if (!socket.post(['Blob', Buffer.alloc(10_000)])) await socket.waitUntilWritable()
    while (count < 300) await new Promise(setImmediate)
    expect(count).toBe(300)
    await socket.close()
  })

  test('each packet can be a message of its own', async () => {
    const listener = await stage.listen(packets, { batch: false })
    listener.handle(Ask, ({ data }) => data.n)
    const { socket } = await stage.connect(packets, { batch: false })
    expect(await Promise.all([1, 2, 3].map(n => socket.send(['Ask', { n }])))).toEqual([1, 2, 3])
    await socket.close()
  })
})
