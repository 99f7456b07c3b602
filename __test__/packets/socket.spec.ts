// Sending and accepting, over every way to connect.
import { type EventEmitter, once } from 'node:events'
import {
  Packet,
  PacketError,
  type PacketInstance,
  PacketRegistry,
  type PacketSocket,
  ValidationError,
} from 'selvedge/packets'
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

  test.each(['of a class', 'of the socket'])(
    'serial order %s starts one when the one before is done',
    async whose => {
      const listener = await stage.listen(packets, whose === 'of the socket' ? { order: 'serial' } : {})
      const steps: string[] = []
      const Class = whose === 'of the socket' ? Ask : Serial
      listener.handle(Class, async ({ data }) => {
        steps.push(`${data.n} begins`)
        await new Promise(setImmediate)
        steps.push(`${data.n} ends`)
        if (data.n === 1) throw new ValidationError('no')
      })
      const { socket } = await stage.connect(packets)
      const name = whose === 'of the socket' ? 'Ask' : 'Serial'
      await Promise.allSettled([1, 2, 3].map(n => socket.send([name, { n }])))
      expect(steps).toEqual(['1 begins', '1 ends', '2 begins', '2 ends', '3 begins', '3 ends'])
      await socket.close()
    },
  )

  test('goes through the layers of the server, then its own, then the validators, the event and the handler', async () => {
    const steps: string[] = []
    class Checked extends Packet({}) {
      static override validate() {
        steps.push('class')
      }
      override respond() {
        steps.push('instance')
        return 'instance'
      }
    }
    const registry = new PacketRegistry({ Checked })
    const listener = await stage.listen(registry)
    listener.use(async (_, { req }, next) => {
      steps.push(`server ${req.user}`)
      const answer = await next()
      steps.push('server again')
      return `${answer}!`
    })
    listener.on('connection', socket => {
      socket.req.user = 'ada'
      socket.use((_, __, next) => {
        steps.push('socket')
        return next()
      })
      socket.on('packet', packet => steps.push(`event ${packet.constructor.name}`))
    })
    const { socket, server } = await stage.connect(registry)
    expect(await socket.send(['Checked'])).toBe('instance!')
    const stop = server.handle(Checked, {
      validate: () => void steps.push('validator'),
      respond: () => 'handler',
    })
    expect(await socket.send(['Checked'])).toBe('handler!')
    stop()
    expect(await socket.send(['Checked'])).toBe('instance!')
    const around = ['server ada', 'socket', 'class']
    expect(steps).toEqual([
      ...[...around, 'event Checked', 'instance', 'server again'],
      ...[...around, 'validator', 'event Checked', 'server again'],
      ...[...around, 'event Checked', 'instance', 'server again'],
    ])
    await socket.close()
  })

  test('a layer that refuses, or does not go on, keeps the packet from all that follows', async () => {
    const listener = await stage.listen(packets)
    const seen: unknown[] = []
    listener.use((packet, _, next) => {
      if (packet instanceof Ask && packet.data.n === 1)
        throw new ValidationError({ code: 401, reason: 'sign in first' })
      return packet instanceof Ask && packet.data.n === 2 ? 'mine' : next()
    })
    listener.handle(Ask, ({ data }) => void seen.push(data.n))
    const { socket, server } = await stage.connect(packets)
    server.on('packet', packet => seen.push(packet.data))
    expect(await rejection(socket.send(['Ask', { n: 1 }]))).toMatchObject({
      code: 401,
      reason: 'sign in first',
    })
    expect(await socket.send(['Ask', { n: 2 }])).toBe('mine')
    expect(seen).toEqual([])
    await socket.close()
  })

  test('a layer that calls next twice fails', async () => {
    const listener = await stage.listen(packets, { exposeErrors: true })
    listener.use(async (_, __, next) => {
      await next()
      await next()
    })
    const { socket } = await stage.connect(packets)
    expect(await rejection(socket.send(['Slap']))).toMatchObject({
      code: 500,
      reason: 'a layer called next twice',
    })
    await socket.close()
  })

  test.each<[string, () => unknown, object]>([
    [
      'a ValidationError',
      () => new ValidationError({ code: 404, reason: 'none', id: 7 }),
      { code: 404, reason: 'none', payload: { code: 404, reason: 'none', id: 7 }, packet: 'Ask' },
    ],
    [
      'a ValidationError with a text',
      () => new ValidationError('too far'),
      { code: 400, reason: 'too far', payload: { code: 400, reason: 'too far' } },
    ],
    ['a ValidationError without a payload', () => new ValidationError(), { code: 500, reason: 'error' }],
    [
      'a ValidationError that cannot be encoded',
      () => new ValidationError({ code: 400, reason: 'x', f: () => 1 }),
      { code: 500, reason: 'error' },
    ],
    ['an error', () => Error('secret'), { code: 500, reason: 'error' }],
    [
      'an error of the system',
      () => Object.assign(Error('secret'), { code: 'ENOENT' }),
      { code: 500, reason: 'error' },
    ],
    ['a text', () => 'secret', { code: 500, reason: 'error' }],
    ['undefined', () => undefined, { code: 500, reason: 'error' }],
    ['null', () => null, { code: 500, reason: 'error' }],
  ])('%s that is thrown is told, and no more than it says', async (_, thrown, told) => {
    const listener = await stage.listen(packets)
    listener.handle(Ask, () => {
      throw thrown()
    })
    const { socket } = await stage.connect(packets)
    const error = await rejection(socket.send(['Ask', { n: 1 }]))
    expect(error).toMatchObject(told)
    expect(error).toBeInstanceOf('payload' in told ? ValidationError : PacketError)
    expect(JSON.stringify(error)).not.toContain('secret')
    // The socket goes on.
    expect(await socket.send(['Slap'])).toBeUndefined()
    await socket.close()
  })

  test('what fails here is an event here, with its cause, be it a call or a post', async () => {
    const listener = await stage.listen(packets)
    const cause = Error('a bug')
    listener.handle(Ask, () => {
      throw cause
    })
    listener.handle(Slap, () => {
      throw new ValidationError({ code: 409, reason: 'not now' })
    })
    const { socket, server } = await stage.connect(packets)
    const rejected: [PacketError, PacketInstance | undefined][] = []
    server.on('rejected', (error, packet) => rejected.push([error, packet]))
    await rejection(socket.send(['Ask', { n: 1 }]))
    await rejection(socket.send(['Slap']))
    socket.post(['Ask', { n: 2 }])
    socket.post(['Slap'])
    await rejection(socket.send(['Ask', { n: 3 }]))
    expect(
      rejected.map(([error, packet]) => [error.code, error.packet, error.cause === cause, packet?.data]),
    ).toEqual([
      [500, 'Ask', true, { n: 1 }],
      [500, 'Ask', true, { n: 2 }],
      [409, 'Slap', false, { why: undefined }],
      [500, 'Ask', true, { n: 3 }],
    ])
    await socket.close()
  })

  test('an answer that its schema refuses is 500 there and an event here', async () => {
    const listener = await stage.listen(packets)
    listener.handle(Where, () => ({ x: 1 }) as never)
    listener.handle(Ask, () => new Map())
    const { socket, server } = await stage.connect(packets)
    const rejected = next(server, 'rejected')
    expect(await rejection(socket.send(['Where', { id: 1 }]))).toMatchObject({ code: 500, reason: 'error' })
    expect((await rejected)[0]).toMatchObject({ code: 'ERR_PACKET_ENCODE', packet: 'Where', path: 'y' })
    expect(await rejection(socket.send(['Ask', { n: 1 }]))).toMatchObject({ code: 500 })
    await socket.close()
  })

  test('a packet in the wrong direction is refused with 403, and the other way accepted', async () => {
    const listener = await stage.listen(packets)
    const { socket, server } = await stage.connect(packets)
    expect(await rejection(socket.send(['Redirect', '/']))).toMatchObject({ code: 403 })
    expect(await rejection(socket.send(['Refresh']))).toMatchObject({ code: 403 })
    expect(await rejection(server.send(['ToServer']))).toMatchObject({ code: 403 })
    expect(await socket.send(['ToServer'])).toBeUndefined()
    const redirect = next(socket, 'redirect')
    expect(await server.send(['Redirect', '/there'])).toBeUndefined()
    expect(await redirect).toEqual(['/there'])
    const refresh = next(socket, 'refresh')
    listener.send(['Refresh'])
    await refresh
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
