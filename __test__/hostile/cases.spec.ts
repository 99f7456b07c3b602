// Single attacks that need a door, a wire or a process of their own, beside a watched neighbour: questions to isAllowed, reports,
// answers to a server's questions, headers of one's own, the context of whoever loads the package, memory of patterns.
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Client, type ConnectOptions, connect, init, type ServerSocket } from 'selvedge'
import { head, PATIENCE_MS, Raw } from './attacker'
import { arena, besiege, come, many } from './siege'
import { DOORS } from './stranger'

const WIRES = ['selvedge', 'conat'] as const

jest.setTimeout(60_000)

let clients: Client[] = []

besiege({ asks: true })

afterEach(async () => {
  for (const client of clients) await client.close()
  clients = []
})

function member(options: ConnectOptions = {}): Client {
  const client = connect({ address: `http://127.0.0.1:${arena.port}`, noCache: true, ...options })
  clients.push(client)
  return client
}

const memory = async (): Promise<number> =>
  (await arena.broker.ask<{ memoryBytes: number }>('totals')).memoryBytes
describe.each(DOORS)('at the door %s', door => {
  test('one frame of 2000 patterns asks isAllowed about as many as are allowed', async () => {
    const stranger = await come(door)
    const before = await arena.broker.ask<number>('asked')
    await stranger.subscribe(many(2000, n => `asked${DOORS.indexOf(door)}.${n}`))
    // The neighbour's and the victim's own questions are few.
    expect((await arena.broker.ask<number>('asked')) - before).toBeLessThanOrEqual(600)
  })

  test('2000 patterns of 512 tokens, none like another, take no more than what was said many times', async () => {
    const said = 2 * 1024 * 1024
    for (let visitor = 0; visitor < 4; visitor++) {
      const stranger = await come(door)
      const patterns = many(500, n => `x${visitor}_${n}.${many(510, at => (n * (at + 7)) % 97).join('.')}`)
      for (const from of [0, 250]) await stranger.subscribe(patterns.slice(from, from + 250))
    }
    // What it counts; what the process takes is looked at after each test.
    const held = await memory()
    expect(held).toBeGreaterThan(said)
    expect(held).toBeLessThan(30 * said)
  })

  test('one message 5000 times is reported a few times only', async () => {
    const stranger = await come(door)
    const server = await arena.victim.ask<string>('server')
    const id = `reports-${DOORS.indexOf(door)}`
    const subject = `victim.server.${server}.${id}`
    await stranger.subscribe([`victim.client.${id}`])
    await stranger.say(stranger.message({ subject, command: 'connect', attempt: 1, headers: { id } }))
    const one = stranger.message({ subject, seq: 1, payload: Buffer.from([1]) }, 5000)
    await stranger.say(one)
    // What the victim has to say of them stands before its answer to this.
    await stranger.say(stranger.message({ subject, seq: 2, payload: Buffer.from([2]) }))
    const end = Date.now() + PATIENCE_MS
    for (;;) {
      const { data } = await arena.victim.ask<{ data: unknown[] }>('seen', { id })
      if (data.length >= 4 || Date.now() > end) break
    }
    await stranger.settles()
    expect(stranger.raw.heard.toString('latin1').split('emitted').length - 1).toBeLessThanOrEqual(100)
  })
})

describe.each(WIRES)('over the wire %s', wire => {
  test('a client that was asked by a server answers none of the questions to another', async () => {
    const [host, ann, mallory] = [member({ wire }), member({ wire }), member({ wire })]
    const listener = host.socket.listen(`asking-${wire}`)
    const ends = new Map<string, ServerSocket>()
    const both = new Promise<void>(resolve => {
      listener.on('connection', socket =>
        socket.on('data', (name: string) => {
          ends.set(name, socket)
          if (ends.size === 2) resolve()
        }),
      )
    })
    await listener.waitUntilReady()
    const [hers, his] = [ann.socket.connect(`asking-${wire}`), mallory.socket.connect(`asking-${wire}`)]
    const replies: string[] = []
    his.on('request', message => {
      const reply = message.headers?.['CN-Reply']
      if (typeof reply === 'string') replies.push(reply)
      message.respondSync('mine')
    })
    for (const [name, socket] of [
      ['ann', hers],
      ['mallory', his],
    ] as const) {
      socket.write(name)
    }
    hers.on('request', message => message.respondSync('of ann'))
    await both
    for (let n = 0; n < 5; n++) {
      expect((await ends.get('mallory')!.request('you?')).data).toBe('mine')
      const answer = ends.get('ann')!.request('you?')
      for (const reply of replies) {
        const last = reply.lastIndexOf('.') + 1
        for (let ahead = -5; ahead <= 20; ahead++) {
          mallory.publishSync(
            `${reply.slice(0, last)}${Number(reply.slice(last)) + ahead || ahead + 50}`,
            'forged',
          )
        }
      }
      expect((await answer).data).toBe('of ann')
    }
  })

  test('headers with half of a surrogate pair arrive, or are refused where they are written', async () => {
    const [host, guest] = [member({ wire }), member({ wire })]
    const disturbed: string[] = []
    for (const client of [host, guest]) client.on('disconnected', () => disturbed.push('disconnected'))
    const heard: [unknown, unknown][] = []
    const listener = host.socket.listen(`odd-${wire}`)
    let last: () => void
    const over = new Promise<void>(resolve => {
      last = resolve
    })
    listener.on('connection', socket =>
      socket.on('data', (data, headers) => {
        heard.push([data, headers])
        if (data === 'last') last()
      }),
    )
    const socket = guest.socket.connect(`odd-${wire}`)
    await socket.waitUntilReady()
    const odd: object[] = [{ a: '\ud83d' }, { 'k\udc00': 1 }, { o: { 'k\udc00': 1 } }, { o: ['\ud800'] }]
    const taken: object[] = []
    for (const headers of odd) {
      try {
        socket.write('odd', { headers: headers as never })
        taken.push(headers)
      } catch (error) {
        expect((error as { code: string }).code).toBe('ERR_ENCODE')
      }
    }
    socket.write('last')
    await over
    expect(heard.slice(0, -1).map(([, headers]) => headers)).toEqual(
      taken.map(one => expect.objectContaining(one)),
    )
    expect(disturbed).toEqual([])
  })

  test('what is published right before a close arrives', async () => {
    const messages = await member({ wire }).subscribe('parting')
    let count = 0
    const all = new Promise<void>(resolve => {
      messages.emitter.on('message', () => {
        count += 1
        if (count === 2000) resolve()
      })
    })
    // None of them is connected yet.
    for (let n = 0; n < 20; n++) {
      const leaver = member({ wire })
      for (let i = 0; i < 100; i++) leaver.publishSync('parting', i)
      await leaver.close()
    }
    await all
  })
})

test('a foreign Host is refused behind the HTTP server of an application on loopback, too', async () => {
  const httpServer = createServer()
  const broker = init({ httpServer, path: '/conat' })
  await new Promise<void>(resolve => httpServer.listen(0, '127.0.0.1', resolve))
  await broker.waitUntilReady()
  const { port } = httpServer.address() as AddressInfo
  const raws: Raw[] = []
  try {
    for (const [Host, status] of [
      ['evil.example', '403'],
      ['localhost', '101'],
    ] as const) {
      const raw = new Raw(port).say(head(port, { Host }))
      raws.push(raw)
      expect(await raw.hears('\r\n\r\n')).toBe(true)
      expect([Host, raw.heard.toString('latin1', 9, 12)]).toEqual([Host, status])
    }
  } finally {
    for (const raw of raws) raw.end()
    await broker.close()
    httpServer.close()
  }
})

test('handlers do not see the context of whoever loaded the package', async () => {
  const program = join(__dirname, 'programs', 'loader.cjs')
  const { stdout } = await promisify(execFile)(process.execPath, [program], {
    env: { ...process.env, CONAT_SERVER: `http://127.0.0.1:${arena.port}` },
  })
  const where = ['connection', 'data', 'message', 'request']
  expect(JSON.parse(stdout)).toEqual(where.map(one => [one, null]))
})
