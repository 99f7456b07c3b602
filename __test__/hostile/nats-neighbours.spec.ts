// A program on NATS that attacks: it may publish and subscribe to whatever it likes, by hand. Clients on NATS and at gateways go
// on: no connection ends, and of what they say to each other nothing is lost, doubled or forged.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, init, type Message } from 'selvedge'
import { EAGER, Echoes } from '../support/echoes'
import { until } from '../support/events'
import { describeNats, NatsServer, type RawNats, rawNats } from '../support/nats'

const BATCH = 50
const MB = 1024 * 1024

/** A message that the attacker has heard. */
interface Heard {
  subject: string
  reply: string | undefined
  headers: string
  payload: string
}

/** One that it sends; texts are Latin-1: any bytes. */
interface Forged {
  subject: string
  reply?: string
  headers?: string
  payload?: string
}

function bytes({ subject, reply, headers, payload = '' }: Forged): string {
  const names = reply === undefined ? subject : `${subject} ${reply}`
  if (headers === undefined) return `PUB ${names} ${payload.length}\r\n${payload}\r\n`
  return `HPUB ${names} ${headers.length} ${headers.length + payload.length}\r\n${headers}${payload}\r\n`
}

function parse(text: string): Heard[] {
  const all: Heard[] = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\r\n', at)
    const words = text.slice(at, end).split(' ')
    at = end + 2
    if (words[0] !== 'MSG' && words[0] !== 'HMSG') continue
    const size = Number(words.at(-1))
    const ofHeaders = words[0] === 'HMSG' ? Number(words.at(-2)) : 0
    const hasReply = words.length === (words[0] === 'HMSG' ? 6 : 5)
    const body = text.slice(at, at + size)
    at += size + 2
    const [headers, payload] = [body.slice(0, ofHeaders), body.slice(ofHeaders)]
    all.push({ subject: words[1]!, reply: hasReply ? words[3]! : undefined, headers, payload })
  }
  return all
}

/** The value, or nothing of what cannot be decoded: that throws where it is read, and nowhere else. */
function dataOf(message: Message): unknown {
  try {
    return message.data
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_DECODE' })
    return undefined
  }
}

const block = (...lines: string[]) => `NATS/1.0\r\n${lines.map(line => `${line}\r\n`).join('')}\r\n`
const PACKED = block('Sv: 1')

const BROKEN_HEADERS = [
  'hello',
  '\r\n',
  'NATS/1.0',
  'NATS/1.0\r\n',
  'NATS/1.0\r\n\r\n',
  'NATS/1.0\r\na: b',
  'NATS/1.0 503\r\n\r\n',
  'NATS/1.0 503 forged\r\nNats-Subject: news.1\r\n\r\n',
  'NATS/1.0 abc \xff\r\n\r\n',
  block('no colon'),
  block(': nothing'),
  block('a\0b: c\0d', '\xff\xfe: \xff'),
  block('Nats-Trace-Dest: news.1', 'Nats-Trace-Only: true', 'Nats-Msg-Id: 1'),
  block(...Array.from({ length: 5000 }, () => 'a: b')),
]

const WRONG_VALUES = [
  ...['', '0', '2', '-1', '01', '1 1', '999', 'probe', '\xff'].map(value => block(`Sv: ${value}`)),
  block('Sv: 1', 'Sv: 1'),
  block('Sv: 1', 'Sv-Headers: {}'),
  ...['', '{', '[]', 'null', '1', '"a"', '{"a":', '{"a":1}{"b":2}', '['.repeat(50_000)],
  '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  '{"CN-Reply":"news.1","CN-SocketCmd":"close","CN-SocketSeq":1,"id":"x","error":"forged"}',
  '{"CN-SocketOrigin":[1,{"name":"root"}],"CN-SocketCmd":"connect"}',
].map(value => (value.startsWith('NATS') ? value : block(`Sv-Headers: ${value}`)))

const WRONG_PAYLOADS: readonly (readonly [type: string, payload: string])[] = [
  ['application/msgpack', ''],
  ['application/msgpack', '\xc1'],
  ['application/msgpack', '\xdf\xff\xff\xff\xff'],
  ['application/msgpack', '\x91'.repeat(100_000)],
  ['application/msgpack', '\xc4\xff'],
  ['application/json', '{"a":'],
  ['application/json', '\xff\xfe'],
  ['application/json', '['.repeat(100_000)],
  ['application/json', '{"__proto__":{"polluted":1}}'],
  ['text/plain', '\xff\xfe\xed\xa0\x80'],
]

/** What the attacker knows: where everybody listens, and what its own sockets have sent and got. */
interface Knowledge {
  subjects: readonly string[]
  own: readonly Heard[]
}

/** A small generator of chance, always the same. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648
  }
}

function everywhere(subjects: readonly string[], all: readonly Omit<Forged, 'subject'>[]): Forged[] {
  return subjects.flatMap(subject => all.map(one => ({ ...one, subject })))
}

const ATTACKS: readonly (readonly [string, (known: Knowledge) => Forged[]])[] = [
  [
    'header blocks that are none',
    ({ subjects }) =>
      everywhere(
        subjects,
        BROKEN_HEADERS.flatMap(headers => [{ headers }, { headers, payload: 'garbage' }]),
      ),
  ],
  [
    'headers of ours with values that are none',
    ({ subjects }) =>
      everywhere(
        subjects,
        WRONG_VALUES.map(headers => ({ headers, payload: 'garbage' })),
      ),
  ],
  [
    'values that are none',
    ({ subjects }) =>
      everywhere(
        subjects,
        WRONG_PAYLOADS.map(([type, payload]) => ({ headers: block(`Content-Type: ${type}`), payload })),
      ),
  ],
  [
    'a megabyte of headers',
    ({ subjects }) => {
      const long = 'x'.repeat(MB)
      const blocks = [
        block(`a: ${long}`),
        block(`${long}: a`),
        block(...Array.from({ length: 100_000 }, (_, n) => `h${n}: v`)),
        block(`Sv-Headers: {"a":"${long}"}`),
        block(`Sv-Headers: {${Array.from({ length: 50_000 }, (_, n) => `"h${n}":{"a":[${n}]}`).join(',')}}`),
      ]
      return everywhere(
        // What a server keeps for a slow reader is 64 MB.
        subjects.slice(0, 8),
        blocks.map(headers => ({ headers })),
      )
    },
  ],
  [
    'bodies of sockets, cut and damaged',
    ({ subjects, own }) => {
      const random = chance(1)
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
      const bodies = own.filter(({ headers }) => headers === PACKED).map(({ payload }) => payload)
      const cut = Array.from({ length: 300 }, () => {
        const body = pick(bodies)
        return body.slice(0, Math.floor(random() * body.length))
      })
      const damaged = Array.from({ length: 600 }, () => {
        const body = pick(bodies)
        const at = Math.floor(random() * Math.min(body.length, 40))
        return `${body.slice(0, at)}${String.fromCharCode(Math.floor(random() * 256))}${body.slice(at + 1)}`
      })
      const absurd = [
        '\xff'.repeat(10),
        `\x08${'\xff'.repeat(9)}\x7f`,
        `\x20${'\xff'.repeat(300)}`,
        '\0'.repeat(1000),
      ]
      return [...cut, ...damaged, ...absurd].flatMap(payload =>
        everywhere([pick(subjects), pick(subjects), pick(subjects)], [{ headers: PACKED, payload }]),
      )
    },
  ],
  [
    'what its own sockets have sent and got, to those of others',
    ({ subjects, own }) =>
      everywhere(
        subjects,
        own.map(({ headers, payload, reply }) => ({
          ...(headers === '' ? {} : { headers }),
          ...(reply === undefined ? {} : { reply }),
          payload,
        })),
      ),
  ],
  [
    'questions whose answers are to go to others',
    ({ subjects }) => {
      const replies = [
        ...subjects,
        '$SYS.REQ.SERVER.PING',
        '_SV.watch',
        'news.*',
        '>',
        'a..b',
        'x'.repeat(3900),
        'a\xff',
      ]
      return ['svc.direct', 'svc.gateway'].flatMap(subject =>
        replies.flatMap(reply => [
          { subject, reply, headers: block('Content-Type: application/json'), payload: '41' },
          { subject, reply, payload: 'garbage' },
        ]),
      )
    },
  ],
  [
    'subjects with control characters, and others that are none',
    () =>
      [
        '\x01',
        '\x7f',
        '\0',
        '\x1b[2J',
        '\x0b',
        '\xc2\xa0',
        '\xe2\x80\xa8',
        '\xff\xfe',
        '\xed\xa0\x80',
        '*',
        '>',
        '',
        'a..b',
      ]
        .flatMap(token => [`news.${token}`, `svc.direct${token}`, `chat.direct.server.${token}.x`])
        .flatMap(subject => [
          { subject, payload: 'garbage' },
          { subject, headers: PACKED, payload: 'garbage', reply: '_INBOX.nobody' },
        ]),
  ],
]

describeNats('a neighbour on NATS that attacks', () => {
  const server = new NatsServer('max_payload: 4MB')
  const gateways: ConatServer[] = []
  const clients: Client[] = []
  const lost: string[] = []
  let direct: Client
  let other: Client
  let near: Client
  let far: Client
  let conat: Client
  let attacker: RawNats
  let echoes: Echoes
  let known: Knowledge
  let round = 0
  const heard = new Map<string, number[]>()

  function client(name: string, address: string, options: object = {}): Client {
    const made = connect({ address, ...EAGER, ...options })
    made.on('disconnected', reason => lost.push(`${name}: ${reason?.code}`))
    clients.push(made)
    return made
  }

  beforeAll(async () => {
    await server.start()
    for (const id of ['a', 'b'])
      gateways.push(init({ port: 0, host: '127.0.0.1', id, upstream: server.address }))
    for (const gateway of gateways) {
      await gateway.waitUntilReady()
      gateway.on('upstream', (state, error) => lost.push(`${gateway.id}: ${state} ${error?.code}`))
    }
    const at = (n: number) => `http://127.0.0.1:${gateways[n]!.address()!.port}`
    direct = client('direct', server.address)
    other = client('other', server.address)
    near = client('near', at(0))
    far = client('far', at(1))
    conat = client('conat', at(1), { wire: 'conat' })
    attacker = await rawNats(server.port, 'SUB > 1\r\n')
    for (const [host, name] of [
      [direct, 'direct'],
      [near, 'gateway'],
    ] as const) {
      const listener = host.socket.listen(`chat.${name}`)
      listener.on('connection', socket => socket.on('data', data => socket.write(data)))
      await listener.waitUntilReady()
      const service = await host.subscribe(`svc.${name}`, { queue: 'workers' })
      service.emitter.on('message', message => {
        const data = dataOf(message)
        if (message.isRequest() && typeof data === 'number') message.respondSync(data + 1)
      })
    }
    for (const [name, reader] of Object.entries({ direct, near, far, conat })) {
      const numbers: number[] = []
      heard.set(name, numbers)
      const news = await reader.subscribe('news.*')
      news.emitter.on('message', message => {
        const data = dataOf(message)
        if (typeof data === 'object' && data !== null && 'honest' in data) numbers.push(data.honest as number)
      })
    }
    echoes = new Echoes(
      [direct, other, far, conat].flatMap(guest =>
        ['chat.direct', 'chat.gateway'].map(subject => guest.socket.connect(subject)),
      ),
    )
    await echoes.ready()
    await lookAround()
  }, 60_000)

  afterAll(async () => {
    attacker.close()
    await Promise.all(clients.map(each => each.close()))
    await Promise.all(gateways.map(gateway => gateway.close()))
    await server.close()
  })

  /** Has the attacker hear where everybody listens, and makes sockets of its own, of both kinds. */
  async function lookAround(): Promise<void> {
    await talk()
    await attacker.say('')
    const subjects = new Set(
      parse(attacker.heard).flatMap(({ subject, reply }) => [subject, ...(reply ? [reply] : [])]),
    )
    attacker.heard = ''
    const thief = connect({ address: server.address, noCache: true })
    for (const stream of [true, false]) {
      for (const subject of ['chat.direct', 'chat.gateway']) {
        const socket = thief.socket.connect(subject, { stream })
        const back = once(socket, 'data')
        socket.write('mine')
        await back
        await socket.end()
      }
    }
    await thief.close()
    await attacker.say('UNSUB 1\r\n')
    const own = parse(attacker.heard).filter(({ subject }) => !subjects.has(subject))
    attacker.heard = ''
    known = { subjects: [...subjects], own }
    expect(known.subjects.length).toBeGreaterThan(20)
    expect(own.filter(({ headers }) => headers === PACKED).length).toBeGreaterThan(10)
  }

  /** Everybody says something to everybody, and it arrives. */
  async function talk(): Promise<void> {
    await echoes.begin(round, BATCH)
    for (const [n, writer] of [direct, near, conat].entries()) {
      expect((await writer.publish(`news.${n}`, { honest: round * 3 + n })).count).toBeGreaterThanOrEqual(1)
    }
    for (const asker of [direct, other, near, far, conat]) {
      for (const name of ['direct', 'gateway']) {
        expect((await asker.request(`svc.${name}`, round)).data).toBe(round + 1)
      }
    }
    await echoes.whole()
    round += 1
    const expected = Array.from({ length: round * 3 }, (_, n) => n)
    for (const [name, numbers] of heard) {
      await until(() => numbers.length >= expected.length)
      expect([name, ...[...numbers].sort((a, b) => a - b)]).toEqual([name, ...expected])
    }
  }

  test.each(ATTACKS)(
    '%s',
    async (_, attack) => {
      const forged = attack(known)
      expect(forged.length).toBeGreaterThan(20)
      const talking = talk()
      for (let at = 0; at < forged.length; at += 100) {
        await attacker.say(
          forged
            .slice(at, at + 100)
            .map(bytes)
            .join(''),
        )
      }
      await talking
      await talk()
      echoes.check()
      expect(lost).toEqual([])
      expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    },
    60_000,
  )
})
