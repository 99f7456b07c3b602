// Programs that run over Node's own `dgram` and over ours: every form of a call, and what is told in which order.
import { on as eventsOn, once } from 'node:events'
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

/** Sends, and returns what came, and what the callback was told. */
async function sent(from: Socket, to: Socket, args: readonly unknown[]): Promise<string> {
  const came = once(to, 'message') as Promise<[Buffer, { size: number }]>
  const told = new Promise<string>(resolve => {
    any(from).send!(...args, (error: Error | null, bytes?: number) => resolve(`${error} ${bytes}`))
  })
  const [message, { size }] = await came
  return `${message.toString('hex')} ${size} ${await told}`
}

export const formPrograms: Readonly<Record<string, Program>> = {
  'send of every form': async way => {
    const [from, to] = [await bound(way), await bound(way)]
    const place = way.place(to)
    const bytes = Buffer.from('0123456789')
    const log: string[] = []
    for (const args of [
      ['text'],
      [''],
      ['ünïcode'],
      [bytes],
      [bytes, 2, 3],
      [bytes, 0, 0],
      [bytes, 10, 0],
      [bytes, 0, 10],
      [new Uint8Array([1, 2, 3])],
      [new Uint16Array([1, 2]), 1, 2],
      [new DataView(new ArrayBuffer(3))],
      [Buffer.alloc(0)],
      [['a', bytes, new Uint8Array([255])]],
      [[]],
      [[Buffer.alloc(0), '']],
      ['12345', 1, 2],
    ]) {
      log.push(await sent(from, to, [...args, ...place]))
    }
    await Promise.all([closed(from), closed(to)])
    return log
  },

  'the same of a connected socket': async way => {
    const [from, to] = [await bound(way), await bound(way)]
    any(from).connect!(...way.place(to))
    await once(from, 'connect')
    const log: string[] = []
    for (const args of [['text'], [Buffer.from('abc'), 1, 1], [['a', 'b']], [[]], ['']]) {
      log.push(await sent(from, to, args))
    }
    await Promise.all([closed(from), closed(to)])
    return log
  },

  'parts that are outside, word for word': async way => {
    const [from, to] = [await bound(way), await bound(way)]
    const place = way.place(to)
    const bytes = Buffer.from('0123')
    const log = [
      [-1, 2],
      [5, 0],
      [0, 5],
      [3, 2],
      [0, -1],
      [4, 1],
    ].map(([offset, length]) => refusal(() => any(from).send!(bytes, offset, length, ...place)))
    await Promise.all([closed(from), closed(to)])
    return log
  },

  'kinds of what is sent, word for word': async way => {
    const socket = await bound(way)
    const place = way.place(socket)
    const kinds = [
      5,
      true,
      null,
      undefined,
      {},
      Symbol('x'),
      nothing,
      [5],
      ['a', null],
      [{}],
      new ArrayBuffer(2),
    ]
    const log = kinds.map(kind => refusal(() => any(socket).send!(kind, ...place)))
    await closed(socket)
    return log
  },

  'many from many, each in the order of its sender': async way => {
    const [to, one, other] = [await bound(way), await bound(way), await bound(way)]
    const seen: Record<string, string[]> = { one: [], other: [] }
    let left = 40
    const all = new Promise<void>(resolve => {
      to.on('message', message => {
        const [who, number] = String(message).split(' ') as [string, string]
        seen[who]!.push(number)
        left -= 1
        if (left === 0) resolve()
      })
    })
    for (let i = 0; i < 20; i++) {
      any(one).send!(`one ${i}`, ...way.place(to))
      any(other).send!(`other ${i}`, ...way.place(to))
    }
    await all
    await Promise.all([closed(to), closed(one), closed(other)])
    return seen
  },

  'callbacks of sends, and listening': async way => {
    const socket = made(way)
    const to = await bound(way)
    const log: string[] = []
    socket.on('listening', () => log.push('listening'))
    to.on('message', nothing)
    any(socket).send!('a', ...way.place(to), () => log.push('a'))
    any(socket).send!('b', ...way.place(to), () => log.push('b'))
    log.push('sent')
    while (!log.includes('b')) await turn()
    const again = new Promise<void>(resolve => {
      any(socket).send!('c', ...way.place(to), () => {
        log.push('c')
        resolve()
      })
    })
    log.push('sent')
    await again
    await Promise.all([closed(socket), closed(to)])
    return log
  },

  'messages, iterated until an abort': async way => {
    const [from, to] = [await bound(way), await bound(way)]
    const aborts = new AbortController()
    const log: string[] = []
    const iterated = (async () => {
      try {
        for await (const [message] of eventsOn(to, 'message', { signal: aborts.signal })) {
          log.push(String(message))
          if (log.length === 3) aborts.abort()
        }
      } catch (error) {
        log.push((error as Error).name)
      }
    })()
    for (const text of ['a', 'b', 'c']) any(from).send!(text, ...way.place(to))
    await iterated
    log.push(String(to.listenerCount('message')))
    await Promise.all([closed(from), closed(to)])
    return log
  },

  'a listener of messages that comes later hears what comes then': async way => {
    const [from, to] = [await bound(way), await bound(way)]
    await new Promise(resolve => any(from).send!('first', ...way.place(to), resolve))
    await new Promise(resolve => setTimeout(resolve, 20))
    const came = once(to, 'message')
    any(from).send!('second', ...way.place(to))
    const text = String((await came)[0])
    await Promise.all([closed(from), closed(to)])
    return text
  },

  'connected to another one, again and again': async way => {
    const [socket, one, other] = [await bound(way), await bound(way), await bound(way)]
    const log: string[] = []
    for (const to of [one, other, one]) {
      any(socket).connect!(...way.place(to), () => log.push('connected'))
      await once(socket, 'connect')
      log.push(await sent(socket, to, ['x']))
      log.push(refusal(() => any(socket).connect!(...way.place(to))))
      socket.disconnect()
      log.push(refusal(() => socket.remoteAddress()))
      log.push(refusal(() => socket.disconnect()))
    }
    await Promise.all([closed(socket), closed(one), closed(other)])
    return log
  },

  'what is answered by every call in listening, and in close': async way => {
    const socket = made(way)
    const log: string[] = []
    const ask = (when: string): void => {
      const { address, remoteAddress, disconnect } = any(socket)
      const calls = { address, remoteAddress, disconnect }
      for (const [name, call] of Object.entries(calls)) {
        log.push(`${when} ${name} ${refusal(() => call!.call(socket))}`)
      }
    }
    ask('made')
    socket.once('listening', () => ask('listening')).once('close', () => ask('close'))
    any(socket).bind!(...way.free())
    ask('binding')
    await once(socket, 'listening')
    await closed(socket)
    return log
  },

  'times to live, before the bind and behind it': async way => {
    const socket = made(way)
    const log: string[] = []
    const ask = (): void => {
      for (const name of ['setTTL', 'setMulticastTTL']) {
        for (const ttl of [-1, 0, 1, 1.5, 255, 256, 'x', undefined]) {
          log.push(`${name} ${ttl} ${refusal(() => any(socket)[name]!(ttl))}`)
        }
      }
    }
    ask()
    any(socket).bind!(...way.free())
    await once(socket, 'listening')
    ask()
    await closed(socket)
    return log
  },

  'a bind with options': async way => {
    const log: string[] = []
    const [place, host] = way.free()
    for (const options of [{}, { exclusive: true }, { exclusive: false }]) {
      const socket = made(way)
      const given = place === undefined ? options : { port: place, address: host, ...options }
      log.push(`${any(socket).bind!(given, () => log.push('bound')) === socket}`)
      await once(socket, 'listening')
      log.push(Object.keys(socket.address()).sort().join())
      await closed(socket)
    }
    return log
  },

  'a signal in every state, and what listens to it': async way => {
    const log: string[] = []
    for (const state of ['made', 'binding', 'bound'] as const) {
      const aborts = new AbortController()
      const socket = made(way, { type: 'udp4', signal: aborts.signal })
      socket.on('close', () => log.push(`${state} close`)).on('error', error => log.push(errorOf(error)))
      const end = once(socket, 'close')
      if (state !== 'made') any(socket).bind!(...way.free())
      if (state === 'bound') await once(socket, 'listening')
      aborts.abort()
      log.push(`${state} ${refusal(() => socket.close())}`)
      await end
    }
    return log
  },

  'size of a message at its bounds': async way => {
    const [from, to] = [await bound(way), await bound(way)]
    const log: string[] = []
    for (const size of [1, 1472, 9000, 65_507]) {
      const came = once(to, 'message') as Promise<[Buffer, { size: number }]>
      any(from).send!(Buffer.alloc(size, 'x'), ...way.place(to))
      const [message, info] = await came
      log.push(`${message.length} ${info.size} ${message.every(byte => byte === 120)}`)
    }
    const error = await new Promise<unknown>(resolve =>
      any(from).send!(Buffer.alloc(65_508), ...way.place(to), resolve),
    )
    log.push(errorOf(error))
    await Promise.all([closed(from), closed(to)])
    return log
  },

  'a message may be kept, and is one’s own': async way => {
    const [from, to] = [await bound(way), await bound(way)]
    const kept: Buffer[] = []
    const all = new Promise<void>(resolve => {
      to.on('message', message => {
        kept.push(message)
        if (kept.length === 3) resolve()
      })
    })
    for (const text of ['aaa', 'bbb', 'ccc']) any(from).send!(text, ...way.place(to))
    await all
    kept[0]!.fill('z')
    await Promise.all([closed(from), closed(to)])
    return [kept.map(String), kept.every(Buffer.isBuffer)]
  },
}
