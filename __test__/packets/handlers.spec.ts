// What a packet meets on the other side: layers, validators, events, the handler, and how their failures come back;
// over every way to connect.
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

function fail(): never {
  throw Error('secret')
}

const next = (emitter: PacketSocket, event: string) => once(emitter as unknown as EventEmitter, event)

describeWays('the handlers of a socket', stage => {
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
    [
      'what throws when it is looked at',
      () => new Proxy({}, { get: fail, getPrototypeOf: fail }),
      { code: 500, reason: 'error' },
    ],
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

  test('a refusal whose payload cannot be encoded is 500 there and an event here, which says why', async () => {
    const listener = await stage.listen(packets)
    listener.handle(Ask, () => {
      throw new ValidationError({ code: 409, reason: 'taken', by: Symbol('x') })
    })
    const { socket, server } = await stage.connect(packets)
    const rejected = next(server, 'rejected')
    expect(await rejection(socket.send(['Ask', { n: 1 }]))).toMatchObject({ code: 500, reason: 'error' })
    expect((await rejected)[0]).toMatchObject({
      code: 'ERR_PACKET_ENCODE',
      packet: 'Ask',
      message: 'Ask: its payload: a symbol cannot be packed',
    })
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
})
