// Programs that run over Node's own `dgram` and over ours: what its own tests ask of sends, binds and errors.
import { once } from 'node:events'
import {
  any,
  bound,
  closed,
  errorOf,
  made,
  nothing,
  type Program,
  refusal,
  type Socket,
  turn,
} from './parity-program'

export const nodePrograms: Readonly<Record<string, Program>> = {
  'arguments of what is emitted': async way => {
    const [socket, other] = [made(way), await bound(way)]
    const log: string[] = []
    const note = (name: string) =>
      function (this: unknown, ...args: unknown[]): void {
        log.push(`${name} ${args.length} ${this === socket}`)
      }
    for (const name of ['listening', 'connect', 'close', 'message']) socket.on(name, note(name))
    any(socket).bind!(...way.free(), note('bound'))
    await once(socket, 'listening')
    any(socket).connect!(...way.place(other), note('connected'))
    await once(socket, 'connect')
    const came = once(socket, 'message')
    any(other).send!('x', ...way.place(socket))
    await came
    const end = once(socket, 'close')
    socket.close(note('closed'))
    await end
    await closed(other)
    return log
  },

  'a bind of a taken place, and then another one': async way => {
    const [first, socket] = [await bound(way), made(way)]
    const log: string[] = []
    socket.on('listening', () => log.push('listening')).on('close', () => log.push('close'))
    any(socket).bind!(...way.place(first))
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    const { code, syscall, errno, message } = error
    log.push(`${code} ${syscall} ${errno} ${message.split(' ').slice(0, 2)}`)
    any(socket).bind!(...way.free(), () => log.push('bound'))
    await once(socket, 'listening')
    await Promise.all([closed(first), closed(socket)])
    return {
      log,
      keys: Object.keys(error)
        .filter(key => key !== 'port')
        .sort(),
    }
  },

  'a bind of a taken place, again and again': async way => {
    const [first, socket] = [await bound(way), made(way)]
    const log: string[] = []
    for (let n = 0; n < 3; n++) {
      any(socket).bind!(...way.place(first))
      log.push(((await once(socket, 'error')) as [NodeJS.ErrnoException])[0].code as string)
    }
    await Promise.all([closed(first), closed(socket)])
    return log
  },

  'a bind of a taken place, closed in the error': async way => {
    const [first, socket] = [await bound(way), made(way)]
    const log: string[] = []
    socket.on('error', error => {
      log.push((error as NodeJS.ErrnoException).code as string)
      socket.close(() => log.push('closed'))
    })
    any(socket).bind!(...way.place(first), () => log.push('listening'))
    await new Promise<void>(resolve => socket.once('close', () => resolve()))
    await closed(first)
    return log
  },

  'sends in one breath, of a socket that is not bound': async way => {
    const [desk, sender] = [await bound(way), made(way)]
    const log: string[] = []
    sender.on('listening', () => log.push('listening'))
    const came: string[] = []
    desk.on('message', message => came.push(String(message)))
    for (let n = 0; n < 5; n++) {
      any(sender).send!(`${n}`, ...way.place(desk), (error: Error | null, bytes: number) =>
        log.push(`sent ${n} ${error} ${bytes}`),
      )
    }
    log.push('behind the calls')
    while (came.length < 5 || log.length < 7) await turn()
    await Promise.all([closed(desk), closed(sender)])
    return { log, came: came.sort() }
  },

  'bind behind a send, and connect behind it': async way => {
    const [desk, sender] = [await bound(way), made(way)]
    any(sender).send!('x', ...way.place(desk))
    const log = [refusal(() => any(sender).bind!(...way.free()))]
    await once(sender, 'listening')
    log.push(refusal(() => any(sender).bind!(...way.free())))
    any(sender).connect!(...way.place(desk))
    await once(sender, 'connect')
    await Promise.all([closed(desk), closed(sender)])
    return log
  },

  'a send inside of the callback of a send': async way => {
    const [desk, sender] = [await bound(way), made(way)]
    const log: string[] = []
    let isInside = false
    let left = 3
    await new Promise<void>(resolve => {
      const send = (): void => {
        isInside = true
        any(sender).send!(Buffer.alloc(5), 0, 5, ...way.place(desk), (error: unknown, bytes: unknown) => {
          log.push(`${error} ${bytes} ${isInside}`)
          left -= 1
          if (left > 0) send()
          else resolve()
        })
        isInside = false
      }
      send()
    })
    await Promise.all([closed(desk), closed(sender)])
    return log
  },

  'bytes of a send, in each form': async way => {
    const [desk, sender] = [await bound(way), made(way)]
    const sizes: unknown[] = []
    const sent = (...args: unknown[]): Promise<void> =>
      new Promise(resolve =>
        any(sender).send!(...args, ...way.place(desk), (error: unknown, bytes: unknown) => {
          sizes.push([error, bytes])
          resolve()
        }),
      )
    await sent('')
    await sent(Buffer.alloc(0))
    await sent([])
    await sent([Buffer.alloc(0), ''])
    await sent(['ž', Buffer.from('bc')])
    await sent(Buffer.from('hello'), 1, 3)
    await sent(new Uint16Array(4))
    await sent(new Uint16Array(4), 1, 2)
    await sent(new Float64Array(2), 0, 2)
    await sent(Buffer.alloc(20_000))
    await Promise.all([closed(desk), closed(sender)])
    return sizes
  },

  'what is too long, and what comes behind it': async way => {
    const [desk, sender] = [await bound(way), made(way)]
    const log: string[] = []
    await new Promise<void>(resolve =>
      any(sender).send!(
        Buffer.alloc(65_536),
        0,
        65_536,
        ...way.place(desk),
        (error: unknown, bytes: unknown) => {
          log.push(`called back ${errorOf(error)} ${bytes}`)
          resolve()
        },
      ),
    )
    // It goes on.
    const came = once(desk, 'message')
    any(sender).send!('x', ...way.place(desk))
    await came
    await Promise.all([closed(desk), closed(sender)])
    return log
  },

  'a close inside of a callback of send, with more of them due': async way => {
    const [desk, sender] = [await bound(way), made(way)]
    const log: string[] = []
    sender.on('close', () => log.push('close'))
    any(sender).send!('0', ...way.place(desk), () => {
      log.push('first')
      sender.close()
    })
    any(sender).send!('1', ...way.place(desk), () => log.push('second'))
    await once(sender, 'close')
    await turn()
    await closed(desk)
    return log.filter(line => line !== 'second')
  },

  'a close behind a send of a socket that is not bound': async way => {
    const [desk, sender] = [await bound(way), made(way)]
    const log: string[] = []
    sender.on('error', error => log.push(errorOf(error)))
    any(sender).send!('x', ...way.place(desk), (error: unknown) => log.push(error ? 'not sent' : 'sent'))
    await closed(sender)
    await turn()
    await closed(desk)
    return log.filter(line => line !== 'not sent' && line !== 'sent')
  },

  'disconnect and send again': async way => {
    const [desk, other, socket] = [await bound(way), await bound(way), made(way)]
    const log: string[] = []
    for (const each of [desk, other]) {
      each.on('message', message => log.push(`${each === desk ? 'desk' : 'other'} ${message}`))
    }
    const sent = (...args: unknown[]): Promise<unknown> =>
      new Promise(resolve => any(socket).send!(...args, resolve))
    any(socket).connect!(...way.place(desk))
    await once(socket, 'connect')
    await sent('1')
    while (log.length < 1) await turn()
    socket.disconnect()
    await sent('2', ...way.place(other))
    while (log.length < 2) await turn()
    any(socket).connect!(...way.place(other))
    await once(socket, 'connect')
    await sent('3')
    while (log.length < 3) await turn()
    await Promise.all([desk, other, socket].map(closed))
    return log
  },

  'close while it connects': async way => {
    const [desk, socket] = [await bound(way), made(way)]
    const log: string[] = []
    for (const name of ['connect', 'error', 'close']) socket.on(name, () => log.push(name))
    any(socket).connect!(...way.place(desk), () => log.push('callback'))
    await closed(socket)
    await turn()
    await closed(desk)
    return log
  },

  'a listener that is given to createSocket, and to bind': async way => {
    const log: string[] = []
    const desk = way.dgram.createSocket('udp4', message => log.push(`message ${message}`))
    log.push(`${desk.listenerCount('message')} ${desk.listenerCount('listening')}`)
    any(desk).bind!(...way.free(), () => log.push('bound'))
    log.push(`${desk.listenerCount('listening') > 0}`)
    await once(desk, 'listening')
    any(desk).send!('to itself', ...way.place(desk))
    await once(desk, 'message')
    await closed(desk)
    return log
  },

  'a callback of close, and a second close': async way => {
    const log: string[] = []
    const socket = await bound(way)
    socket.on('close', () => log.push('close'))
    const returned = socket.close(() => log.push('callback')) === socket
    log.push(refusal(() => socket.close()))
    log.push(refusal(() => socket.address()))
    await turn()
    await turn()
    return { log, returned }
  },

  'asyncDispose, in each state': async way => {
    const log: string[] = []
    for (const make of [
      async () => made(way),
      async () => any(made(way)).bind!(...way.free()) as Socket,
      () => bound(way),
    ]) {
      const socket = await make()
      socket.on('close', () => log.push('close'))
      await (socket as unknown as AsyncDisposable)[Symbol.asyncDispose]()
      log.push(refusal(() => socket.close()))
    }
    return log
  },

  'send, refused word for word, in the forms that ask where to': async way => {
    const socket = await bound(way)
    const { send } = any(socket) as { send: (...args: unknown[]) => unknown }
    const call = (...args: unknown[]) => refusal(() => send.call(socket, ...args))
    const seen = {
      'a buffer that is undefined': call(undefined, ...way.place(socket)),
      'a list with undefined': call([undefined], ...way.place(socket)),
      'a list with null': call(['x', null], ...way.place(socket)),
      'a regular expression': call(/x/, ...way.place(socket)),
      'a function': call(nothing),
      'an ArrayBuffer': call(new ArrayBuffer(3), ...way.place(socket)),
      true: call(true, ...way.place(socket)),
      bigint: call(5n, ...way.place(socket)),
    }
    await closed(socket)
    return seen
  },

  'queues, while nothing waits': async way => {
    const [desk, sender] = [await bound(way), await bound(way)]
    const seen: unknown[] = [sender.getSendQueueSize(), sender.getSendQueueCount()]
    await new Promise<void>(resolve => any(sender).send!('x', ...way.place(desk), () => resolve()))
    seen.push(sender.getSendQueueSize(), sender.getSendQueueCount())
    await Promise.all([closed(desk), closed(sender)])
    return seen
  },

  'a subclass, names, and the types that it shows': async way => {
    const socket = made(way)
    const seen = [
      socket.constructor.name,
      (socket as unknown as { type: string }).type,
      Object.prototype.toString.call(socket),
      socket instanceof (way.dgram as unknown as { Socket: new () => object }).Socket,
    ]
    await closed(socket)
    return seen
  },

  'types that are set in options, and what they refuse': async way => {
    const log: string[] = []
    for (const options of [
      { type: 'udp4', reuseAddr: true },
      { type: 'udp4', reuseAddr: 'x' },
      { type: 'udp4', ipv6Only: true },
      { type: 'udp6', ipv6Only: true },
      { type: 'udp4', recvBufferSize: 1.5 },
      { type: 'udp4', recvBufferSize: '1' },
      { type: 'udp4', recvBufferSize: -1 },
      { type: 'udp4', recvBufferSize: 2 ** 32 },
      { type: 'udp4', recvBufferSize: 0 },
      { type: 'udp4', sendBufferSize: Number.NaN },
      { type: 'udp4', sendBufferSize: null },
      { type: 'udp4', lookup: null },
      { type: 'udp4', lookup: undefined },
      { type: 'udp4', signal: undefined },
      { type: 'udp4', signal: null },
    ]) {
      log.push(
        refusal(() => {
          made(way, options).close()
        }),
      )
    }
    return log
  },
}
