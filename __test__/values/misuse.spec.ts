// Values, headers and callbacks that misbehave: an error where it happened, nothing half-sent, and all else goes on.
import {
  type Client,
  type ConatServer,
  type ConatSocketClient,
  type ConatSocketServer,
  connect,
  DataEncoding,
  FabricError,
  type Headers,
  init,
  messageData,
  type ServerSocket,
} from 'selvedge'
import { faultProxy } from 'selvedge/testing'

const loose = (value: unknown) => value as any

let broker: ConatServer
let client: Client
let server: ConatSocketServer
let socket: ConatSocketClient
let accepted: ServerSocket
/** What has arrived at the other side of `socket`. */
let seen: [unknown, Headers][]

beforeEach(async () => {
  broker = init({ port: null })
  client = broker.client()
  server = client.socket.listen('misuse')
  seen = []
  server.on('connection', socket => {
    accepted = socket
    socket.on('data', (data, headers) => seen.push([data, headers]))
  })
  socket = client.socket.connect('misuse')
  await socket.waitUntilReady()
})

afterEach(async () => {
  await client.close()
  await broker.close()
})

function codeOf(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(FabricError)
    return (error as FabricError).code
  }
  return 'nothing was thrown'
}

function cyclic(): object {
  const value: Record<string, unknown> = {}
  value.self = value
  return value
}

function deep(levels: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(8)
  structuredClone(bytes, { transfer: [bytes.buffer] })
  return bytes
}

const throwing = (message: string) => () => {
  throw Error(message)
}

const trap = new Proxy(
  {},
  { get: throwing('trap'), getPrototypeOf: throwing('trap'), ownKeys: throwing('trap') },
)

/** What it is, its value, and how it is encoded. */
const UNENCODABLE: [string, () => unknown, DataEncoding?][] = [
  ['a BigInt', () => 1n],
  ['a BigInt inside', () => ({ a: [1, { b: 2n }] })],
  ['a function', () => () => 1],
  ['a symbol', () => [Symbol('s')]],
  ['a cycle', cyclic],
  ['a cycle as JSON', cyclic, DataEncoding.JsonCodec],
  ['a BigInt as JSON', () => [1n], DataEncoding.JsonCodec],
  [
    'a getter that throws',
    () => ({
      before: 1,
      get x() {
        return throwing('getter')()
      },
      after: 2,
    }),
  ],
  [
    'a getter that throws, as JSON',
    () => ({
      get x() {
        return throwing('getter')()
      },
    }),
    DataEncoding.JsonCodec,
  ],
  ['toJSON that throws', () => ({ toJSON: throwing('toJSON') }), DataEncoding.JsonCodec],
  ['a Proxy that throws', () => trap],
  ['a Proxy inside that throws', () => [1, trap]],
  ['a detached buffer', detached],
  ['nesting of 2000 levels', () => deep(2000)],
  ['nesting of 100 000 levels', () => deep(100_000)],
  ['nesting of 100 000 levels as JSON', () => deep(100_000), DataEncoding.JsonCodec],
]

describe.each(UNENCODABLE)('%s', (_name, make, encoding) => {
  test('is refused in the call, and the next message has the next number', async () => {
    const subscription = await client.subscribe('misuse.plain')
    const before = { ...client.stats.sent }
    socket.write('before')
    const options = encoding === undefined ? undefined : { encoding }
    expect(codeOf(() => socket.write(make(), options))).toBe('ERR_ENCODE')
    expect(codeOf(() => accepted.write(make(), options))).toBe('ERR_ENCODE')
    expect(codeOf(() => server.broadcast(make(), options))).toBe('ERR_ENCODE')
    expect(codeOf(() => client.publishSync('misuse.plain', make(), options))).toBe('ERR_ENCODE')
    expect(codeOf(() => messageData(make(), options))).toBe('ERR_ENCODE')
    await expect(client.publish('misuse.plain', make(), options)).rejects.toMatchObject({
      code: 'ERR_ENCODE',
    })
    await expect(client.request('misuse.plain', make(), options)).rejects.toMatchObject({
      code: 'ERR_ENCODE',
    })
    await expect(socket.request(make(), options)).rejects.toMatchObject({ code: 'ERR_ENCODE' })
    await expect(client.requestMany('misuse.plain', make(), options)).rejects.toMatchObject({
      code: 'ERR_ENCODE',
    })
    socket.write('after')
    client.publishSync('misuse.plain', 'after')
    await socket.drain()
    expect(seen.map(([data]) => data)).toEqual(['before', 'after'])
    expect((await subscription.next()).value!.data).toBe('after')
    // Three messages were sent, and each failure counted for nothing.
    expect(client.stats.sent.messages - before.messages).toBe(3)
    subscription.close()
  })
})

describe('bytes that lie about themselves', () => {
  class Liar extends Uint8Array {
    override get byteLength(): number {
      return 1
    }
    override get length(): number {
      return 7
    }
  }

  test('cannot spoil what comes after them', async () => {
    socket.write('before')
    socket.write(new Liar(100_000))
    socket.write(new Liar(2))
    socket.write(null, { raw: new Liar([0xc0]) })
    socket.write('after')
    await socket.drain()
    const bytes = (length: number) => Buffer.alloc(length)
    expect(seen.map(([data]) => data)).toEqual(['before', bytes(100_000), bytes(2), null, 'after'])
  })

  test('a Proxy of bytes is a value like any other, and never a crash', async () => {
    socket.write('before')
    try {
      socket.write(new Proxy(new Uint8Array([1, 2]), {}))
      socket.write('marker')
    } catch (error) {
      expect((error as FabricError).code).toBe('ERR_ENCODE')
      socket.write('marker')
    }
    await socket.drain()
    const data = seen.map(([data]) => data)
    expect([data[0], data.at(-1)]).toEqual(['before', 'marker'])
  })

  test('a buffer that changes right after the call arrives as it was', async () => {
    const bytes = Buffer.alloc(50_000, 1)
    const object = { list: [1, 2, 3] }
    socket.write(bytes)
    socket.write(null, { raw: bytes, encoding: DataEncoding.MsgPack })
    socket.write(object)
    bytes.fill(2)
    object.list.push(4)
    await socket.drain().catch(() => {})
    expect((seen[0]![0] as Buffer).equals(Buffer.alloc(50_000, 1))).toBe(true)
  })
})

function nested(levels: number): Headers {
  let value: Headers = {}
  for (let i = 1; i < levels; i++) value = { a: value }
  return value
}

/** Headers whose JSON has exactly so many bytes. */
const sized = (bytes: number): Headers => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) })

describe('headers', () => {
  const BAD: [string, unknown, string][] = [
    ['a BigInt', { a: 1n }, 'ERR_ENCODE'],
    ['a cycle', cyclic(), 'ERR_ENCODE'],
    ['toJSON that throws', { toJSON: throwing('toJSON') }, 'ERR_ENCODE'],
    [
      'a getter that throws',
      {
        a: {
          get x() {
            return throwing('x')()
          },
        },
      },
      'ERR_ENCODE',
    ],
    ['63 levels', nested(63), 'ERR_ENCODE'],
    ['100 000 levels', { a: deep(100_000) }, 'ERR_ENCODE'],
    ['a byte too much', sized(896 * 1024 + 1), 'ERR_ENCODE'],
    ['too many bytes in few characters', { a: 'é'.repeat(500_000) }, 'ERR_ENCODE'],
    ['an array', ['a'], 'ERR_INVALID_ARG_TYPE'],
    ['a date', new Date(0), 'ERR_INVALID_ARG_TYPE'],
    ['toJSON that gives no object', { toJSON: () => 'text' }, 'ERR_INVALID_ARG_TYPE'],
  ]

  test.each(BAD)('that are refused: %s', async (_name, bad, code) => {
    const headers = loose(bad)
    expect(codeOf(() => socket.write(1, { headers }))).toBe(code)
    expect(codeOf(() => client.publishSync('misuse.plain', 1, { headers }))).toBe(code)
    expect(codeOf(() => messageData(1, { headers }))).toBe(code)
    await expect(client.publish('misuse.plain', 1, { headers })).rejects.toMatchObject({ code })
    await expect(client.request('misuse.plain', 1, { headers })).rejects.toMatchObject({ code })
    await expect(socket.request(1, { headers })).rejects.toMatchObject({ code })
    socket.write('after')
    await socket.drain()
    expect(seen).toEqual([['after', {}]])
  })

  test.each([
    ['a text', 'x'],
    ['a number', 5],
    ['an array', [1]],
    ['a boolean', true],
  ])('of a write that are no object: %s', async (_name, bad) => {
    expect(codeOf(() => socket.write('data', loose(bad)))).toBe('ERR_INVALID_ARG_TYPE')
    expect(codeOf(() => server.write('data', loose(bad)))).toBe('ERR_INVALID_ARG_TYPE')
    socket.write('after')
    await socket.drain()
    expect(seen).toEqual([['after', {}]])
  })

  test('as large and as deep as they may be arrive', async () => {
    const most = [sized(896 * 1024), nested(62), { text: '[{"\\'.repeat(100) }]
    for (const headers of most) socket.write(1, { headers })
    await socket.drain()
    expect(seen.map(([, headers]) => headers)).toEqual(most)
  })

  test('called __proto__, constructor and toString are data and pollute nothing', async () => {
    const headers = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1}',
    )
    const subscription = await client.subscribe('misuse.plain')
    socket.write({}, { headers })
    client.publishSync('misuse.plain', JSON.parse('{"__proto__":{"polluted":1}}'), {
      headers,
      encoding: DataEncoding.JsonCodec,
    })
    await socket.drain()
    const message = (await subscription.next()).value!
    for (const got of [seen[0]![1], message.headers!]) {
      expect(Object.keys(got).sort()).toEqual(['__proto__', 'constructor', 'toString'])
      expect(Object.getPrototypeOf(got)).toBe(Object.getPrototypeOf(JSON.parse('{}')))
    }
    expect(message.data).toBeDefined()
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    subscription.close()
  })

  test('with half a surrogate pair arrive', async () => {
    socket.write('\ud83d', { headers: { half: '\ud83d' } })
    await socket.drain()
    expect(seen).toHaveLength(1)
    expect(seen[0]![1]).toEqual({ half: '\ud83d' })
  })
})

describe('code of the user inside a call', () => {
  test('a getter may write to the same socket: whole messages, each once', async () => {
    let isFirst = true
    const value = {
      a: 1,
      get inner() {
        // The encoder asks more than once.
        if (isFirst) socket.write('inner', { headers: { which: 'inner' } })
        isFirst = false
        client.publishSync('misuse.nobody', { also: 'inner' })
        return 'x'.repeat(100)
      },
    }
    socket.write(value, { headers: { which: 'outer' } })
    socket.write('after')
    await socket.drain()
    expect(seen).toEqual([
      ['inner', { which: 'inner' }],
      [{ a: 1, inner: 'x'.repeat(100) }, { which: 'outer' }],
      ['after', {}],
    ])
  })

  test('a getter may close the socket, or the client', async () => {
    const closing = (close: () => void) => ({
      get x() {
        close()
        return 1
      },
    })
    expect(codeOf(() => socket.write(closing(() => socket.close())))).toBe('EPIPE')
    const other = broker.client()
    const published = other.publish(
      'misuse.nobody',
      closing(() => void other.close()),
    )
    await expect(published).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await other.close()
  })

  test('a load balancer that throws, rejects, hangs or answers nonsense is asked again', async () => {
    let asked = 0
    const answers = [
      throwing('thrown'),
      () => Promise.reject(Error('rejected')),
      () => loose(5),
      () => new Promise<string>(() => {}),
      () => server.id,
    ]
    const balanced = client.socket.connect('misuse', {
      loadBalancer: () => answers[Math.min(asked++, answers.length - 1)]!() as string,
      loadBalancerTimeout: 50,
    })
    await balanced.waitUntilReady(15_000)
    expect(asked).toBe(answers.length)
  }, 60_000)
})

describe('too much at once', () => {
  test('a write beyond the window is ENOBUFS, in the words of Conat', async () => {
    const small = client.socket.connect('nobody.listens', { maxQueueSize: 2 })
    small.write(1)
    small.write(2)
    expect(() => small.write(3)).toThrow('WRITE FAILED: socket buffer size 2 exceeded')
    expect(codeOf(() => small.write(3))).toBe('ENOBUFS')
    expect(small.tcp.send.unsent).toBe(2)
    small.close()
  })

  test('100 000 publishes that nobody awaits keep their order', async () => {
    const subscription = await client.subscribe('misuse.many')
    const published: Promise<unknown>[] = []
    for (let i = 0; i < 100_000; i++) published.push(client.publish('misuse.many', i))
    await Promise.all(published)
    for (let i = 0; i < 100_000; i++) {
      const { value } = await subscription.next()
      if (value!.data !== i) throw Error(`message ${i} is ${value!.data}`)
    }
    expect(subscription.dropped).toBe(0)
    subscription.close()
  }, 120_000)

  test('a flood of forgotten publishes is ENOBUFS at 64 MiB; what arrives is in order, and it goes on', async () => {
    const remote = init({ port: 0, host: '127.0.0.1' })
    await remote.waitUntilReady()
    const proxy = await faultProxy({ target: remote.address()!.port })
    const writer = connect({ address: proxy.address, noCache: true })
    const subscription = await remote.client().subscribe('misuse.big', { maxQueueBytes: 2 ** 30 })
    await writer.waitUntilReady()
    // A network that takes nothing: the engine has to keep what it is given.
    proxy.blackhole('toServer')
    const payload = Buffer.alloc(1024 * 1024)
    let code: unknown
    let accepted = 0
    while (code === undefined && accepted < 1000) {
      payload.writeUInt32BE(accepted)
      try {
        writer.publishSync('misuse.big', payload)
        accepted += 1
      } catch (error) {
        code = (error as FabricError).code
      }
    }
    expect(code).toBe('ENOBUFS')
    expect(accepted).toBeGreaterThanOrEqual(64)
    await proxy.restore()
    // An answer stands behind all that is queued.
    await writer.interest('misuse.big')
    await writer.publish('misuse.big', 'on')
    const numbers: number[] = []
    for await (const { data } of subscription) {
      if (data === 'on') break
      numbers.push((data as Buffer).readUInt32BE())
    }
    expect(numbers).toEqual(Array.from({ length: accepted }, (_, index) => index))
    await writer.close()
    await proxy.close()
    await remote.close()
  }, 60_000)
})
