// More programs that run over Node's own `dgram` and over ours: calls in each state, told word for word.
import { once } from 'node:events'
import { any, bound, closed, made, nothing, type Program, refusal, type Socket, turn } from './parity-program'

const refusals = (calls: Record<string, () => unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, refusal(call)]))

/** Every call that a socket answers in each of its states. */
const everyCall = (socket: Socket): Record<string, () => unknown> => ({
  address: () => socket.address(),
  remoteAddress: () => socket.remoteAddress(),
  disconnect: () => socket.disconnect(),
  setBroadcast: () => socket.setBroadcast(true),
  setTTL: () => socket.setTTL(16),
  setMulticastTTL: () => socket.setMulticastTTL(16),
  setMulticastLoopback: () => any(socket).setMulticastLoopback!(true),
  getRecvBufferSize: () => typeof socket.getRecvBufferSize(),
  getSendBufferSize: () => typeof socket.getSendBufferSize(),
  setRecvBufferSize: () => socket.setRecvBufferSize(8192),
  setSendBufferSize: () => socket.setSendBufferSize(8192),
  getSendQueueSize: () => socket.getSendQueueSize(),
  getSendQueueCount: () => socket.getSendQueueCount(),
  ref: () => socket.ref() === socket,
  unref: () => socket.unref() === socket,
})

export const morePrograms: Readonly<Record<string, Program>> = {
  'every call before the bind': async way => {
    const seen: Record<string, string> = {}
    for (const name of Object.keys(everyCall(made(way)))) {
      const socket = made(way).on('error', nothing)
      seen[name] = refusal(everyCall(socket)[name]!)
      await closed(socket)
    }
    return seen
  },

  'every call while bound': async way => {
    const socket = await bound(way)
    const seen = refusals(everyCall(socket))
    await closed(socket)
    return seen
  },

  'every call behind the close': async way => {
    const socket = await bound(way)
    await closed(socket)
    const { address, remoteAddress, disconnect, ref, unref } = everyCall(socket)
    // Of the others Node says that there is nothing to read a property of.
    return refusals({
      address: address!,
      remoteAddress: remoteAddress!,
      disconnect: disconnect!,
      ref: ref!,
      unref: unref!,
      bind: () => any(socket).bind!(),
      close: () => socket.close(),
      addMembership: () => socket.addMembership('224.0.0.114'),
      dropMembership: () => socket.dropMembership('224.0.0.114'),
      setMulticastInterface: () => socket.setMulticastInterface('0.0.0.0'),
    })
  },

  'types that are refused, word for word': async way =>
    Object.fromEntries(
      Object.entries(
        refusals({
          text: () => made(way, 'test'),
          list: () => made(way, ['udp4']),
          String: () => made(way, new String('udp4')),
          number: () => made(way, 1),
          object: () => made(way, {}),
          true: () => made(way, true),
          false: () => made(way, false),
          null: () => made(way, null),
          'type null': () => made(way, { type: null }),
          'signal {}': () => made(way, { type: 'udp4', signal: {} }),
          'signal of text': () => made(way, { type: 'udp4', signal: 'x' }),
          'lookup of text': () => made(way, { type: 'udp4', lookup: 'x' }),
          'lookup of a number': () => made(way, { type: 'udp4', lookup: 1 }),
        }),
      ).map(([name, text]) => [name, text.replace(/Valid types are: .*/, '')]),
    ),

  'send, word for word': async way => {
    const socket = await bound(way)
    const to = way.place(socket)
    const { send } = any(socket) as { send: (...args: unknown[]) => unknown }
    const call = (...args: unknown[]) => send.call(socket, ...args)
    const seen = refusals({
      nothing: () => call(),
      number: () => call(23, ...to),
      null: () => call(null, ...to),
      object: () => call({}, ...to),
      'list with a number': () => call([Buffer.from('x'), 23], ...to),
      'list in a list': () => call([['x']], ...to),
      'offset behind the end': () => call('hello', 6, 0, ...to),
      'length behind the end': () => call('hello', 0, 6, ...to),
      'both behind the end': () => call('hello', 3, 4, ...to),
      'offset below 0': () => call('hello', -1, 1, ...to),
      'length below 0': () => call('hello', 1, -1, ...to),
      'offset in a view': () => call(new DataView(new ArrayBuffer(4)), 5, 0, ...to),
      'offset in words': () => call(new Uint16Array(2), 3, 2, ...to),
      'all of it': () => call('hello', 0, 5, ...to),
      'nothing of it': () => call('hello', 5, 0, ...to),
    })
    await new Promise<void>(resolve => call('last', ...to, () => resolve()))
    await closed(socket)
    return seen
  },

  'send of a connected socket, word for word': async way => {
    const [socket, other] = [await bound(way), await bound(way)]
    any(socket).connect!(...way.place(other))
    await once(socket, 'connect')
    const { send } = any(socket) as { send: (...args: unknown[]) => unknown }
    const call = (...args: unknown[]) => send.call(socket, ...args)
    const seen = refusals({
      'a part, with a place': () => call('hello', 1, 1, ...way.place(other)),
      'offset behind the end': () => call('hello', 6, 0),
      'length behind the end': () => call('hello', 3, 4),
      number: () => call(23),
      nothing: () => call(),
    })
    const sizes: unknown[] = []
    const came: string[] = []
    other.on('message', message => came.push(String(message)))
    const sent = (...args: unknown[]) =>
      new Promise<void>(resolve =>
        call(...args, (error: Error | null, bytes: number) => {
          sizes.push([error, bytes])
          resolve()
        }),
      )
    await sent('hello')
    await sent('hello', 1, 2)
    await sent(['he', Buffer.from('llo')])
    await sent([])
    await sent('')
    await sent('hello', 0, 0)
    while (came.length < 6) await turn()
    await Promise.all([closed(socket), closed(other)])
    return { seen, sizes, came: came.sort() }
  },

  'connect and disconnect, word for word': async way => {
    const [socket, other] = [made(way), await bound(way)]
    const log: string[] = []
    log.push(refusal(() => socket.disconnect()))
    any(socket).connect!(...way.place(other), (...args: unknown[]) => log.push(`connected ${args.length}`))
    log.push(refusal(() => any(socket).connect!(...way.place(other))))
    await once(socket, 'connect')
    log.push(refusal(() => any(socket).connect!(...way.place(other))))
    socket.disconnect()
    log.push(
      refusal(() => socket.disconnect()),
      refusal(() => socket.remoteAddress()),
    )
    any(socket).connect!(...way.place(other))
    await once(socket, 'connect')
    log.push(`again ${Object.keys(socket.remoteAddress()).length > 0}`)
    await Promise.all([closed(socket), closed(other)])
    return log
  },

  'bind, word for word, and what it returns': async way => {
    const socket = made(way)
    const log = [`${any(socket).bind!(...way.free()) === socket}`]
    log.push(refusal(() => any(socket).bind!(...way.free())))
    await once(socket, 'listening')
    log.push(refusal(() => any(socket).bind!()))
    await closed(socket)
    const other = made(way)
    await new Promise<void>(resolve => void any(other).bind!(() => resolve()))
    log.push(Object.keys(other.address()).sort().join())
    await closed(other)
    const third = made(way)
    await new Promise<void>(resolve => void any(third).bind!({}, () => resolve()))
    log.push(Object.keys(third.address()).sort().join())
    await closed(third)
    return log
  },

  'a close with something that is no callback': async way => {
    const socket = made(way)
    const end = once(socket, 'close')
    socket.on('listening', () => any(socket).close!('bad argument'))
    any(socket).bind!()
    await end
    return 'closed'
  },

  'a close while it sends': async way => {
    const [socket, other] = [made(way), await bound(way)]
    const log: string[] = []
    socket.on('close', () => log.push('close'))
    for (let n = 0; n < 3; n++) {
      any(socket).send!(`${n}`, ...way.place(other), (error: Error | null) =>
        log.push(error === null ? 'sent' : 'not sent'),
      )
    }
    await once(socket, 'listening')
    await turn()
    await turn()
    await closed(socket)
    await closed(other)
    return log
  },

  'a message and what is known of it': async way => {
    const [socket, other] = [await bound(way), await bound(way)]
    const came = once(socket, 'message') as Promise<[Buffer, Record<string, unknown>]>
    any(other).send!(Buffer.from('hello'), ...way.place(socket))
    const [message, info] = await came
    const isFrom = info.address === other.address().address && info.port === other.address().port
    await Promise.all([closed(socket), closed(other)])
    const { address, family, port, size } = info
    return [Buffer.isBuffer(message), typeof address, typeof family, typeof port, size, isFrom]
  },

  'asyncDispose, twice': async way => {
    const socket = await bound(way)
    let closes = 0
    socket.on('close', () => closes++)
    await socket[Symbol.asyncDispose]()
    await socket[Symbol.asyncDispose]()
    return closes
  },

  'an abort behind the close': async way => {
    const aborts = new AbortController()
    const socket = await bound(way, { type: 'udp4', signal: aborts.signal })
    let closes = 0
    socket.on('close', () => closes++)
    await closed(socket)
    aborts.abort()
    await turn()
    return closes
  },

  'sizes of the buffers': async way => {
    const socket = await bound(way, { type: 'udp4', recvBufferSize: 10_000, sendBufferSize: 15_000 })
    const bad = [-1, Number.POSITIVE_INFINITY, 'Doh!', 0.5, 2 ** 31]
    const seen = bad.flatMap(size => [
      refusal(() => socket.setRecvBufferSize(size as number)),
      refusal(() => socket.setSendBufferSize(size as number)),
    ])
    await closed(socket)
    return seen
  },

  'memberships, word for word': async way => {
    const socket = await bound(way)
    const seen = refusals({
      'TTL of text': () => socket.setTTL('foo' as never),
      'TTL of 1000': () => socket.setTTL(1000),
      'multicast TTL of text': () => socket.setMulticastTTL('foo' as never),
      'multicast TTL of 1000': () => socket.setMulticastTTL(1000),
      'interface of a number': () => socket.setMulticastInterface(5 as never),
    })
    const loopback = [16, 0, true].map(on => any(socket).setMulticastLoopback!(on))
    await closed(socket)
    return { seen, loopback }
  },

  'listeners, and a subclass': async way => {
    const socket = made(way, 'udp4', nothing)
    const seen = socket.eventNames().map(String)
    await closed(socket)
    const aborts = new AbortController()
    const other = made(way, { type: 'udp4', signal: aborts.signal })
    seen.push(...other.eventNames().map(String))
    await closed(other)
    const third = made(way, 'udp4', 'no listener')
    seen.push(String(third.listenerCount('message')))
    await closed(third)
    return seen
  },
}
