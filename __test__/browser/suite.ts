// What a client of pages does, written once for where it runs: each row is a program of the page alone, which gets the library
// and addresses and returns what came out. It must not use anything around it: its text goes to the page.
import type * as Library from 'selvedge/browser'

export interface Where {
  /** Of the broker, and of the same behind a proxy that can be cut. */
  readonly address: string
  readonly proxied: string
}

export interface Row {
  run(selvedge: typeof Library, where: Where): Promise<unknown>
  readonly comesOut: unknown
}

/** What the native side does when it is asked, by the subject `control`. */
export interface Control {
  cut(): Promise<void>
  /** Closes the sockets on `deaf`, whose server reads nothing. */
  closeDeaf(): Promise<void>
  /** Closes the sockets on `greeted`, who were written three messages. */
  closeGreeted(): Promise<void>
  /** Lets the sockets on `slow` read, and returns what they had got by then. */
  readSlow(): Promise<number>
  /** Asks the sockets on `echo`. */
  ask(question: unknown): Promise<unknown>
  join(key: string): Promise<void>
  leave(key: string): Promise<void>
}

export const ROWS: Readonly<Record<string, Row>> = {
  'has every value as it was': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address })
      const wrong: unknown[] = []
      for (const value of [null, true, -1, 2 ** 40, 1.5, '', 'ü🦀\ufeff', [1, [2]], { a: { b: [] } }]) {
        const { data, headers } = await client.request('echo', value, { headers: { n: 1 } })
        if (JSON.stringify([data, headers]) !== JSON.stringify([value, { n: 1 }])) wrong.push([value, data])
      }
      const bytes = Uint8Array.from({ length: 900_000 }, (_, i) => i)
      const { data } = await client.request('echo', { bytes, date: new Date(7) })
      const isSame = data.bytes.length === bytes.length && bytes.every((byte, i) => data.bytes[i] === byte)
      await client.close()
      return { wrong, isSame, kind: data.bytes.constructor.name, date: data.date.getTime() }
    },
    comesOut: { wrong: [], isSame: true, kind: 'Uint8Array', date: 7 },
  },
  'is told what cannot be': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address, maxMessageBytes: 100_000 })
      const refused: unknown[] = []
      client.on('permission', ({ type, subject }) => refused.push([type, subject]))
      const code = (promise: Promise<unknown>): Promise<unknown> =>
        promise.then(
          () => 'none',
          error => error.code,
        )
      const codes = [
        await code(client.request('nobody')),
        await code(client.request('silent', 1, { timeout: 30 })),
        await code(client.request('silent', 1, { signal: AbortSignal.abort() })),
        await code(client.waitForInterest('nobody', { timeout: 30 })),
        await code(client.publish('a.*')),
        await code(client.publish('a', new Map())),
        await code(client.publish('a', 1, { headerz: {} } as never)),
        await code(client.publish('a', 'x'.repeat(200_000))),
        await code(client.publish('secret.a')),
        await code(client.subscribe('secret.*')),
      ]
      await client.close()
      return { codes: [...codes, await code(client.publish('a'))], refused, state: client.state }
    },
    comesOut: {
      codes: [
        503,
        408,
        'ABORT_ERR',
        408,
        'ERR_INVALID_SUBJECT',
        'ERR_ENCODE',
        'ERR_UNKNOWN_OPTION',
        'ERR_TOO_LARGE',
        403,
        403,
        'ERR_CLOSED',
      ],
      refused: [
        ['pub', 'secret.a'],
        ['sub', 'secret.*'],
      ],
      state: 'closed',
    },
  },
  'publishes to whoever has subscribed, in order, and shares a queue': {
    run: async ({ connect }, { address }) => {
      const [one, other] = [connect({ address }), connect({ address })]
      const all = await one.subscribe('news.*', { maxMessages: 200 })
      const shares = [
        await one.subscribe('news.>', { queue: 'q' }),
        await other.subscribe('news.>', { queue: 'q' }),
      ]
      let shared = 0
      for (const { emitter } of shares) emitter.on('message', () => (shared += 1))
      const counts = new Set<number>()
      for (let n = 0; n < 199; n++) other.publishSync('news.today', n, { headers: { n } })
      counts.add((await other.publish('news.today', 199, { headers: { n: 199 } })).count)
      const got: unknown[] = []
      for await (const { data, headers, subject } of all)
        got.push(data === headers?.n && subject === 'news.today' && data)
      const isWhole = got.every((n, i) => n === i)
      while (shared < 200) await new Promise(resolve => setTimeout(resolve, 1))
      await Promise.all([one.close(), other.close()])
      return { count: got.length, isWhole, counts: [...counts], ended: all.ended, shared }
    },
    comesOut: { count: 200, isWhole: true, counts: [2], ended: true, shared: 200 },
  },
  'keeps no more unread messages than their payloads, headers and places may take': {
    run: async ({ connect }, { address }) => {
      const [one, other] = [connect({ address }), connect({ address })]
      const dropped: unknown[] = []
      for (const [maxQueueBytes, size] of [
        [1000, 0],
        [100_000, 30_000],
      ] as const) {
        const headers = size > 0 ? { x: 'x'.repeat(size) } : undefined
        const bounded = await one.subscribe('page.full', { maxQueueBytes })
        const all = await one.subscribe('page.full', { maxMessages: 10 })
        const raw = new Uint8Array(0)
        for (let n = 0; n < 10; n++) await other.publish('page.full', null, { raw, headers })
        for await (const message of all) if (message.length > 0) throw new Error('not empty')
        for (let n = 0; n < 3; n++) await bounded.next()
        await other.publish('page.full', 'room again')
        dropped.push(bounded.dropped, (await bounded.next()).value?.data)
        bounded.close()
      }
      await Promise.all([one.close(), other.close()])
      return dropped
    },
    comesOut: [7, 'room again', 7, 'room again'],
  },
  'answers requests, and calls services': {
    run: async ({ connect }, { address }) => {
      const [one, other] = [connect({ address }), connect({ address })]
      const asked = await one.subscribe('page.twice')
      asked.emitter.on(
        'message',
        message => void message.respond(message.data * 2, { headers: { by: 'page' } }),
      )
      const { data, headers } = await other.request('page.twice', 21)
      const math = one.call<{ add(a: number, b: number): Promise<number>; fail(): Promise<void> }>('math')
      const sum = await math.add(1, 2)
      const failed = await math.fail().catch(({ code, message }) => [code, message])
      await Promise.all([one.close(), other.close()])
      return { data, headers, sum, failed }
    },
    comesOut: { data: 42, headers: { by: 'page' }, sum: 3, failed: ['EMATH', 'no such number'] },
  },
  'has nothing missing for a reader that comes behind another one': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address })
      const rests: unknown[] = []
      for (const isLoop of [true, false]) {
        const socket = client.socket.connect('echo')
        for (let n = 1; n <= 4; n++) socket.write(n)
        // Neither read to its end nor left.
        const first = await socket.iter().next()
        // Behind the echoes.
        await socket.request('?')
        const rest: unknown[] = [first.value?.[0]]
        const whole = new Promise<void>(resolve => {
          if (!isLoop) socket.on('data', data => rest.push(data) === 9 && resolve())
        })
        for (let n = 5; n <= 9; n++) socket.write(n)
        if (isLoop) {
          for await (const [data] of socket) if (rest.push(data) === 9) break
        } else await whole
        rests.push(rest.join(''))
        socket.close()
      }
      await client.close()
      return rests
    },
    comesOut: ['123456789', '123456789'],
  },
  'tells a loop that comes behind the end what nobody was handed': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address })
      const control = client.call<import('./suite').Control>('control')
      const socket = client.socket.connect('greeted')
      await socket.iter().next()
      await socket.request('?')
      const closed = new Promise(resolve => socket.once('closed', resolve))
      await control.closeGreeted()
      await closed
      const ends = await socket
        .iter()
        .next()
        .catch(({ code, missing }) => [code, missing])
      await client.close()
      return ends
    },
    comesOut: ['ERR_SOCKET_CLOSED_BY_PEER', 2],
  },
  'asks and answers over its socket, and ends in order': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address })
      const control = client.call<import('./suite').Control>('control')
      const socket = client.socket.connect('echo')
      socket.on('request', request => request.respondSync(request.data + 1))
      await socket.waitUntilReady()
      const { data } = await socket.request('?')
      const asked = await control.ask(41)
      const back: unknown[] = []
      socket.on('data', (value, headers) => back.push([value, headers]))
      await socket.send('sent', { headers: { h: 1 }, timeout: 10_000 })
      const closed = new Promise(resolve =>
        socket.once('closed', (reason, left) => resolve([reason?.code, left])),
      )
      while (back.length === 0) await new Promise(resolve => setTimeout(resolve, 1))
      await socket.end()
      const { state, stats } = socket
      const end = await closed
      await client.close()
      return { data, asked, back, state, end, pending: stats.pending, left: socket.undelivered() }
    },
    comesOut: {
      data: { got: '?' },
      asked: 42,
      back: [['sent', { h: 1 }]],
      state: 'closed',
      end: [undefined, 0],
      pending: 0,
      left: [],
    },
  },
  'is slowed down by a slow reader, and loses nothing': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address })
      const control = client.call<import('./suite').Control>('control')
      const socket = client.socket.connect('slow', { maxQueueSize: 100 })
      await socket.waitUntilReady()
      const writes = Array.from({ length: 100 }, (_, n) => socket.write(n))
      let code: unknown
      try {
        socket.write('too much')
      } catch (error) {
        code = (error as { code: unknown }).code
      }
      const isDropped = !socket.write('volatile', { volatile: true })
      const timedOut = await socket.drain({ timeout: 20 }).catch(error => error.code)
      const before = await control.readSlow()
      await socket.waitUntilWritable()
      await socket.drain()
      const { pending, acknowledged, volatileDropped } = socket.stats
      await client.close()
      return {
        writes: writes.filter(Boolean).length,
        code,
        isDropped,
        timedOut,
        before,
        pending,
        acknowledged,
        volatileDropped,
      }
    },
    comesOut: {
      writes: 49,
      code: 'ENOBUFS',
      isDropped: true,
      timedOut: 408,
      before: 0,
      pending: 0,
      acknowledged: 100,
      volatileDropped: 1,
    },
  },
  'gets back what its server has not handled': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address })
      const control = client.call<import('./suite').Control>('control')
      const socket = client.socket.connect('deaf')
      await socket.waitUntilReady()
      socket.write('kept', { headers: { n: 1 } })
      const lost = socket.send('kept, too').catch(({ undelivered }) => undelivered)
      const asked = socket.request('?').catch(({ code }) => typeof code)
      const closed = new Promise(resolve =>
        socket.once('closed', (reason, left) => resolve([reason?.code, left])),
      )
      await control.closeDeaf()
      const end = await closed
      const left = socket.undelivered().map(({ seq, data, headers }) => [seq, data, headers ?? null])
      const late = await socket.send('late').catch(({ code }) => code)
      const outcome = { end, left, lost: await lost, asked: await asked, late }
      await client.close()
      return outcome
    },
    comesOut: {
      end: ['ERR_SOCKET_CLOSED_BY_PEER', 2],
      left: [
        [1, 'kept', { n: 1 }],
        [2, 'kept, too', null],
      ],
      lost: 2,
      asked: 'string',
      late: 'EPIPE',
    },
  },
  'has everything once and in order while its connection is cut': {
    run: async ({ connect }, { address, proxied }) => {
      const beside = connect({ address })
      const control = beside.call<import('./suite').Control>('control')
      const client = connect({ address: proxied, reconnectionDelay: 5, reconnectionDelayMax: 50 })
      const socket = client.socket.connect('echo', { maxQueueSize: 100 })
      await socket.waitUntilReady()
      let connections = 0
      client.on('connected', () => (connections += 1))
      const cuts = [300, 900]
      const back: number[] = []
      const whole = new Promise<void>(resolve => {
        socket.on('data', n => {
          back.push(n)
          if (back.length === cuts[0]) {
            cuts.shift()
            void control.cut()
          }
          if (back.length === 1500) resolve()
        })
      })
      for (let n = 0; n < 1500; n++) if (!socket.write(n)) await socket.waitUntilWritable()
      await whole
      const isWhole = back.every((n, i) => n === i)
      const { state } = socket
      await Promise.all([client.close(), beside.close()])
      return { count: back.length, isWhole, state, connections }
    },
    comesOut: { count: 1500, isWhole: true, state: 'ready', connections: 2 },
  },
  'reads its socket in a loop, and large messages both ways': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address })
      const socket = client.socket.connect('echo')
      const sizes: number[] = []
      const sent = [1, 65_536, 1_000_000, 4_000_000]
      for (const size of sent) socket.write('x'.repeat(size))
      for await (const [data] of socket) {
        sizes.push(data.length)
        if (sizes.length === sent.length) break
      }
      let code: unknown
      try {
        client.socket.connect('echo', { maxMessageBytes: 65_536 }).write('x'.repeat(70_000))
      } catch (error) {
        code = (error as { code: unknown }).code
      }
      await client.close()
      return { sizes, code }
    },
    comesOut: { sizes: [1, 65_536, 1_000_000, 4_000_000], code: 'ERR_TOO_LARGE' },
  },
  'waits for a server no longer than it is told to': {
    run: async ({ connect }, { address }) => {
      const client = connect({ address })
      const ended = (options: object): Promise<unknown> =>
        new Promise(resolve =>
          client.socket.connect('nobody', options).once('closed', reason => resolve(reason?.code)),
        )
      const controller = new AbortController()
      const aborted = ended({ signal: controller.signal })
      controller.abort()
      const ends = [await ended({ timeout: 30 }), await aborted]
      const closed = new Promise(resolve => client.once('closed', () => resolve('closed')))
      const waiting = client.socket
        .connect('nobody')
        .waitUntilReady()
        .catch(error => error.code)
      await client.close()
      return { ends, closed: await closed, waiting: await waiting }
    },
    comesOut: { ends: [408, 'ABORT_ERR'], closed: 'closed', waiting: 'ERR_CLOSED' },
  },
  'knows who is in a room': {
    run: async ({ connect, watchRoom }, { address }) => {
      const client = connect({ address })
      const control = client.call<import('./suite').Control>('control')
      const socket = client.socket.connect('echo')
      await socket.waitUntilReady()
      const lobby = watchRoom(socket, 'lobby')
      const seen: unknown[] = []
      lobby.on('join', ({ key }) => seen.push(['join', key]))
      lobby.on('leave', ({ key }, reason) => seen.push(['leave', key, reason]))
      await control.join('ann')
      await control.leave('ann')
      while (seen.length < 2) await new Promise(resolve => setTimeout(resolve, 1))
      lobby.close()
      await client.close()
      return { seen, members: lobby.members.size }
    },
    comesOut: {
      seen: [
        ['join', 'ann'],
        ['leave', 'ann', 'left'],
      ],
      members: 0,
    },
  },
}
