// Programs that run over Node's own `dgram` and over ours, and what they saw.
import { once } from 'node:events'
import { any, bound, closed, made, nothing, type Program, type Socket, turn } from './parity-program'

function codeOf(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall === undefined ? String(code) : `${code} ${syscall}`
}

function thrown(call: () => unknown): string {
  try {
    call()
    return 'nothing'
  } catch (error) {
    return `${(error as Error).constructor.name.replace('SystemError', 'Error')} ${codeOf(error)}`
  }
}

function watch(socket: Socket, log: string[]): Socket {
  for (const name of ['listening', 'connect', 'close']) socket.on(name, () => log.push(name))
  socket.on('error', error => log.push(`error ${codeOf(error)}`))
  socket.on('message', (message, { size }) => log.push(`message ${message} of ${size}`))
  return socket
}

export const programs: Readonly<Record<string, Program>> = {
  'bind, close, and every call behind it': async way => {
    const log: string[] = []
    const socket = watch(made(way), log)
    log.push(`bind ${any(socket).bind!(...way.free(), () => log.push('bound')) === socket}`)
    log.push(thrown(() => any(socket).bind!(...way.free())))
    await once(socket, 'listening')
    log.push(thrown(() => any(socket).bind!(...way.free())))
    const to = way.place(socket)
    const done = once(socket, 'close')
    log.push(`close ${socket.close(() => log.push('closed')) === socket}`)
    await done
    for (const [name, args] of Object.entries({
      close: [],
      bind: [],
      send: ['x', ...to],
      address: [],
      disconnect: [],
      remoteAddress: [],
      ref: [],
      unref: [],
    })) {
      log.push(`${name} ${thrown(() => any(socket)[name]!(...args))}`)
    }
    return log
  },

  'close in one breath with bind': async way => {
    const log: string[] = []
    const socket = watch(made(way), log)
    any(socket).bind!(...way.free())
    await closed(socket)
    await turn()
    return log
  },

  'close in listening, and in message': async way => {
    const log: string[] = []
    const first = watch(made(way), log)
    first.on('listening', () => first.close())
    any(first).bind!(...way.free())
    await once(first, 'close')
    const second = watch(await bound(way), log)
    second.on('message', () => second.close())
    const sender = made(way)
    any(sender).send!('x', ...way.place(second))
    await once(second, 'close')
    await closed(sender)
    return log
  },

  'a send binds by itself': async way => {
    const log: string[] = []
    const desk = await bound(way)
    const sender = watch(made(way), log)
    const came = once(desk, 'message')
    const sent = new Promise(resolve => {
      any(sender).send!('hello', ...way.place(desk), (error: Error | null, bytes: number) =>
        resolve([error, bytes]),
      )
    })
    const [message] = await came
    log.push(String(message), JSON.stringify(await sent))
    await closed(sender)
    await closed(desk)
    return log
  },

  'messages of every kind': async way => {
    const desk = await bound(way)
    const sender = made(way)
    const log: unknown[] = []
    const messages = [
      'text',
      'ž',
      '',
      Buffer.alloc(0),
      new Uint8Array([65, 66]),
      new DataView(new Uint8Array([67]).buffer),
      new Uint16Array([0x4141, 0x4242]),
      ['a', Buffer.from('b'), new Uint8Array([99])],
      [],
      [''],
    ]
    for (const message of messages) {
      const came = once(desk, 'message')
      const sent = new Promise(resolve =>
        any(sender).send!(message, ...way.place(desk), (_: Error, bytes: number) => resolve(bytes)),
      )
      const [received, { size }] = await came
      log.push([String(received), size, await sent])
    }
    const part = once(desk, 'message')
    any(sender).send!('0123456789', 2, 4, ...way.place(desk))
    log.push(String((await part)[0]))
    const rest = once(desk, 'message')
    any(sender).send!(Buffer.from('0123456789'), 10, 0, ...way.place(desk))
    log.push(String((await rest)[0]))
    await Promise.all([closed(sender), closed(desk)])
    return log
  },

  'a buffer that is changed behind send of a list': async way => {
    const desk = await bound(way)
    const sender = made(way)
    const bytes = Buffer.from('before')
    const came = once(desk, 'message')
    any(sender).send!([bytes], ...way.place(desk))
    bytes.fill('x')
    const [message] = await came
    await Promise.all([closed(sender), closed(desk)])
    return message.length
  },

  'connect, send, disconnect': async way => {
    const log: string[] = []
    const desk = await bound(way)
    const socket = watch(made(way), log)
    const to = way.place(desk)
    log.push(
      thrown(() => socket.remoteAddress()),
      thrown(() => socket.disconnect()),
    )
    any(socket).connect!(...to, (error?: Error) => log.push(`connected ${error === undefined}`))
    // Not yet.
    log.push(thrown(() => any(socket).connect!(...to)))
    log.push(
      thrown(() => socket.disconnect()),
      thrown(() => socket.remoteAddress()),
    )
    await once(socket, 'connect')
    log.push(thrown(() => any(socket).connect!(...to)))
    const came = once(desk, 'message')
    any(socket).send!('of the connected')
    log.push(String((await came)[0]))
    const part = once(desk, 'message')
    any(socket).send!('0123', 1, 2)
    log.push(String((await part)[0]))
    socket.disconnect()
    log.push(
      thrown(() => socket.disconnect()),
      thrown(() => socket.remoteAddress()),
    )
    await closed(socket)
    await closed(desk)
    return log
  },

  'a connected socket hears only its other end': async way => {
    const [desk, stranger, socket] = [await bound(way), await bound(way), await bound(way)]
    const log: string[] = []
    watch(socket, log)
    any(socket).connect!(...way.place(desk))
    await once(socket, 'connect')
    const here = way.place(socket)
    await new Promise(resolve => any(stranger).send!('stranger', ...here, resolve))
    const came = once(socket, 'message')
    any(desk).send!('desk', ...here)
    await came
    await Promise.all([desk, stranger, socket].map(closed))
    return log
  },

  'what is too long': async way => {
    const desk = await bound(way)
    const sender = made(way)
    const code = await new Promise(resolve =>
      any(sender).send!(Buffer.alloc(65_508), ...way.place(desk), (error: Error) => resolve(codeOf(error))),
    )
    await Promise.all([closed(sender), closed(desk)])
    return code
  },

  'an abort closes, before and behind': async way => {
    const log: string[] = []
    for (const isEarly of [true, false]) {
      const aborts = new AbortController()
      if (isEarly) aborts.abort()
      const socket = watch(made(way, { type: 'udp4', signal: aborts.signal }), log)
      const end = once(socket, 'close')
      if (!isEarly) {
        any(socket).bind!(...way.free())
        await once(socket, 'listening')
        aborts.abort()
      }
      await end
      log.push(thrown(() => socket.close()))
    }
    return log
  },

  'refused arguments': async way => {
    const socket = await bound(way)
    const free = await bound(way)
    const to = way.place(socket)
    const call = any(socket)
    const calls: Record<string, () => unknown> = {
      'no type': () => made(way, undefined),
      'a type that is none': () => made(way, 'tcp'),
      'a type that is a number': () => made(way, 4),
      'options without a type': () => made(way, {}),
      'options that are null': () => made(way, null),
      'a listener that is none': () => void way.dgram.createSocket('udp4', 'x' as never).close(),
      'a signal that is none': () => made(way, { type: 'udp4', signal: 'x' }),
      'a lookup that is none': () => made(way, { type: 'udp4', lookup: 'x' }),
      'a receive buffer of text': () => made(way, { type: 'udp4', recvBufferSize: 'x' }),
      'a send buffer below 0': () => made(way, { type: 'udp4', sendBufferSize: -1 }),
      'send of nothing': () => call.send!(),
      'send of a number': () => call.send!(5, ...to),
      'send of null': () => call.send!(null, ...to),
      'send of an object': () => call.send!({}, ...to),
      'send of a list with a number': () => call.send!(['a', 5], ...to),
      'send of a list in a list': () => call.send!([['a']], ...to),
      'send of true': () => call.send!(true, ...to),
      'an offset behind the end': () => call.send!('abc', 4, 1, ...to),
      'a length behind the end': () => call.send!('abc', 1, 3, ...to),
      'setRecvBufferSize of text': () => socket.setRecvBufferSize('x' as never),
      'setRecvBufferSize below 0': () => socket.setRecvBufferSize(-1),
      'setSendBufferSize of Infinity': () => socket.setSendBufferSize(Number.POSITIVE_INFINITY),
      'setTTL of text': () => socket.setTTL('x' as never),
      'setTTL of 0': () => socket.setTTL(0),
      'setTTL of 256': () => socket.setTTL(256),
      'setMulticastTTL of text': () => socket.setMulticastTTL('x' as never),
      'setMulticastTTL of 1000': () => socket.setMulticastTTL(1000),
      'setMulticastInterface of a number': () => socket.setMulticastInterface(5 as never),
      'addMembership of nothing': () => call.addMembership!(),
      'dropMembership of nothing': () => call.dropMembership!(),
    }
    const seen = Object.fromEntries(Object.entries(calls).map(([name, each]) => [name, thrown(each)]))
    await Promise.all([closed(socket), closed(free)])
    return seen
  },

  'what calls return': async way => {
    const socket = await bound(way)
    const returned = {
      ref: socket.ref() === socket,
      unref: socket.unref() === socket,
      setTTL: socket.setTTL(5),
      setMulticastTTL: socket.setMulticastTTL(6),
      setMulticastLoopback: any(socket).setMulticastLoopback!(true),
      setBroadcast: any(socket).setBroadcast!(true),
      queue: [socket.getSendQueueSize(), socket.getSendQueueCount()],
      listeners: socket.eventNames(),
    }
    socket.on('error', nothing)
    await closed(socket)
    return returned
  },
}
