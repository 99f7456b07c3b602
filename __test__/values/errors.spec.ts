// Bad use gets an error with a code, in the call that is wrong, and nothing is sent.
import {
  type Client,
  type ConatServer,
  type ConatSocketClient,
  type ConatSocketServer,
  connect,
  decode,
  encode,
  FabricError,
  init,
  isValidSubject,
  isValidSubjectWithoutWildcards,
  MessageData,
  matchesPattern,
  messageData,
  setDefaultSocketTimeouts,
  setDefaultTimeouts,
} from 'selvedge'

let broker: ConatServer
let client: Client
let server: ConatSocketServer
let socket: ConatSocketClient

beforeAll(async () => {
  broker = init({ port: null })
  client = broker.client()
  server = client.socket.listen('errors.server')
  socket = client.socket.connect('errors.server')
  await socket.waitUntilReady()
})

afterAll(async () => {
  await client.close()
  await broker.close()
})

test('an error has only what there is to say', () => {
  expect(Object.keys(new FabricError('full', 'ENOBUFS'))).toEqual(['code'])
  let thrown: unknown
  try {
    client.subscribeSync('a..b')
  } catch (error) {
    thrown = error
  }
  expect(Object.keys(thrown as FabricError)).toEqual(['code'])
})

/** What a call threw or rejected with. */
async function codeOf(call: () => unknown): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    expect(error).toBeInstanceOf(FabricError)
    expect((error as Error).message.length).toBeLessThan(500)
    return (error as FabricError).code
  }
  return 'nothing was thrown'
}

/** Calls that take anything: what a program without types may pass. */
const loose = (value: unknown) => value as any

const NEVER_VALID: [string, unknown][] = [
  ['empty', ''],
  ['an empty token', 'a..b'],
  ['a leading dot', '.a'],
  ['a trailing dot', 'a.'],
  ['a space', 'a b'],
  ['CR LF', 'a\r\nPUB b 0'],
  ['NUL', 'a\0b'],
  ['a tab', 'a\tb'],
  ['64 KB', 'x'.repeat(64 * 1024)],
  ['10 000 tokens', Array(10_000).fill('a').join('.')],
  ['undefined', undefined],
  ['null', null],
  ['a number', 5],
  ['an object without a prototype', Object.create(null)],
  ['a symbol', Symbol('a')],
]
const WILDCARDS: [string, string][] = [
  ['a star', 'a.*'],
  ['a final >', 'a.>'],
]

describe('a subject that is none', () => {
  test('may have > inside for a publish, as with Conat, and never for a subscribe', async () => {
    expect(isValidSubjectWithoutWildcards('a.>.b')).toBe(true)
    expect(await codeOf(() => client.subscribe('a.>.b'))).toBe('ERR_INVALID_SUBJECT')
  })

  test.each([...NEVER_VALID, ...WILDCARDS])('cannot be published to: %s', async (_name, subject) => {
    const bad = loose(subject)
    const before = { ...client.stats.sent }
    const calls = [
      () => client.publish(bad, 1),
      () => client.pub(bad, 1),
      () => client.publishSync(bad, 1),
      () => client.request(bad, 1),
      () => client.requestMany(bad, 1),
      () => client.interest(bad),
      () => client.waitForInterest(bad),
      () => client.socket.connect(bad),
    ]
    for (const call of calls) expect(await codeOf(call)).toBe('ERR_INVALID_SUBJECT')
    expect(client.stats.sent).toEqual(before)
    expect(isValidSubjectWithoutWildcards(bad)).toBe(false)
  })

  test.each(NEVER_VALID)('cannot be subscribed to or listened on: %s', async (_name, subject) => {
    const bad = loose(subject)
    const patterns = client.numSubscriptions()
    const calls = [
      () => client.subscribe(bad),
      () => client.sub(bad),
      () => client.subscribeSync(bad),
      () => client.socket.listen(bad),
    ]
    for (const call of calls) expect(await codeOf(call)).toBe('ERR_INVALID_SUBJECT')
    expect(client.numSubscriptions()).toBe(patterns)
    expect(isValidSubject(bad)).toBe(false)
  })

  test('a socket server cannot have a pattern that nothing can follow', async () => {
    expect(await codeOf(() => client.socket.listen('a.>'))).toBe('ERR_INVALID_SUBJECT')
    expect(await codeOf(() => client.socket.listen('>'))).toBe('ERR_INVALID_SUBJECT')
  })

  test('a lone surrogate never becomes another subject', async () => {
    // It has no UTF-8: the engine would see U+FFFD, and two subjects would be one.
    expect(matchesPattern({ pattern: 'a.\ud800', subject: 'a.\ud801' })).toBe(false)
    expect(await codeOf(() => client.publishSync('a.\ud800', 1))).toBe('ERR_INVALID_SUBJECT')
  })
})

type Call = (options: unknown) => unknown

/** Every function with options, and a wrong value for each of its options. */
const TABLE: [string, Call, Record<string, unknown>][] = [
  [
    'publish',
    options => client.publish('a', 1, loose(options)),
    { headers: 'x', encoding: 7, raw: 'x', timeout: '1', waitForInterest: 1, noThrow: 'no' },
  ],
  [
    'publishSync',
    options => client.publishSync('a', 1, loose(options)),
    { headers: 5, encoding: 'json', raw: [1] },
  ],
  [
    'request',
    options => client.request('a', 1, loose(options)),
    { timeout: 'soon', signal: {}, headers: true },
  ],
  [
    'requestMany',
    options => client.requestMany('a', 1, loose(options)),
    { maxMessages: '1', maxWait: [], signal: 1 },
  ],
  [
    'subscribe',
    options => client.subscribe('a', loose(options)),
    { queue: 1, maxMessages: '1', maxQueueBytes: {} },
  ],
  ['subscribeSync', options => client.subscribeSync('a', loose(options)), { queue: null }],
  ['waitForInterest', options => client.waitForInterest('a', loose(options)), { timeout: '1', signal: 'x' }],
  ['waitUntilReady', options => client.waitUntilReady(loose(options)), { timeout: '1' }],
  ['waitUntilConnected', options => client.waitUntilConnected(loose(options)), { timeout: {} }],
  [
    'listen',
    options => client.socket.listen('b', loose(options)),
    { id: 1, desc: 2, maxQueueSize: '3', keepAlive: '4', keepAliveTimeout: {} },
  ],
  [
    'connect (socket)',
    options => client.socket.connect('b', loose(options)),
    { id: 1, reconnection: 'x', loadBalancer: 'x', loadBalancerTimeout: '1', dialect: 5, maxQueueSize: null },
  ],
  ['socket.request', options => socket.request(1, loose(options)), { timeout: '1', raw: 'x' }],
  ['socket.requestMany', options => socket.requestMany(1, loose(options)), { maxWait: '1' }],
  ['socket.end', options => socket.end(loose(options)), { timeout: '1' }],
  ['server.request', options => server.request(1, loose(options)), { race: 'x', timeout: '1' }],
  ['server.end', options => server.end(loose(options)), { timeout: true }],
  ['messageData', options => messageData(1, loose(options)), { headers: 'x', encoding: 7, raw: {} }],
  [
    'connect',
    options => connect(loose(options)),
    {
      address: 1,
      noCache: 'x',
      path: 1,
      inboxPrefix: 5,
      extraHeaders: 'x',
      autoConnect: 1,
      reconnection: 0,
      reconnectionDelay: '1',
      reconnectionDelayMax: {},
      randomizationFactor: '0',
    },
  ],
  [
    'init',
    options => init(loose(options)),
    {
      port: '3000',
      host: 1,
      id: 2,
      path: 3,
      maxSubscriptionsPerClient: '1',
      maxSubscriptionsPerHub: {},
      clusterName: 5,
    },
  ],
  ['setDefaultTimeouts', options => setDefaultTimeouts(loose(options)), { request: '1', publish: {} }],
  [
    'setDefaultSocketTimeouts',
    options => setDefaultSocketTimeouts(loose(options)),
    { command: '1', keepAlive: 'x', keepAliveTimeout: null },
  ],
]

describe.each(TABLE)('%s', (_name, call, wrong) => {
  test('refuses options with unknown names', async () => {
    expect(await codeOf(() => call({ tiemout: 5 }))).toBe('ERR_UNKNOWN_OPTION')
    expect(await codeOf(() => call(JSON.parse('{"__proto__": 1}')))).toBe('ERR_UNKNOWN_OPTION')
    expect(await codeOf(() => call({ constructor: 1 }))).toBe('ERR_UNKNOWN_OPTION')
  })

  test.each(Object.entries(wrong))('refuses a wrong %s', async (name, value) => {
    expect(await codeOf(() => call({ [name]: value }))).toMatch(/^ERR_INVALID_ARG_(TYPE|VALUE)$/)
  })

  test('refuses options that are no object', async () => {
    for (const options of [5, 'x', null, true]) {
      expect(await codeOf(() => call(options))).toBe('ERR_INVALID_ARG_TYPE')
    }
  })
})

describe('a number out of range', () => {
  const NOT_POSITIVE: [string, Call][] = [
    ['publish timeout', timeout => client.publish('a', 1, loose({ timeout }))],
    ['request timeout', timeout => client.request('a', 1, loose({ timeout }))],
    ['maxMessages', maxMessages => client.requestMany('a', 1, loose({ maxMessages }))],
    ['maxWait', maxWait => client.requestMany('a', 1, loose({ maxWait }))],
    ['subscribe maxMessages', maxMessages => client.subscribe('a', loose({ maxMessages }))],
    ['maxQueueSize', maxQueueSize => client.socket.connect('b', loose({ maxQueueSize }))],
    ['keepAliveTimeout', keepAliveTimeout => client.socket.connect('b', loose({ keepAliveTimeout }))],
    [
      'loadBalancerTimeout',
      loadBalancerTimeout => client.socket.connect('b', loose({ loadBalancerTimeout })),
    ],
    ['waitUntilReady', timeout => client.waitUntilReady(loose({ timeout }))],
    ['socket.waitUntilReady', timeout => socket.waitUntilReady(loose(timeout))],
    ['broker.waitUntilReady', timeout => broker.waitUntilReady(loose(timeout))],
    ['socket.end', timeout => socket.end(loose({ timeout }))],
    ['setDefaultTimeouts', request => setDefaultTimeouts(loose({ request }))],
    ['setDefaultSocketTimeouts', command => setDefaultSocketTimeouts(loose({ command }))],
  ]

  test.each(NOT_POSITIVE)('%s', async (_name, call) => {
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300]) {
      expect([value, await codeOf(() => call(value))]).toEqual([value, 'ERR_OUT_OF_RANGE'])
    }
  })

  test('the rest', async () => {
    const calls: [string, () => unknown][] = [
      ['ERR_OUT_OF_RANGE', () => client.requestMany('a', 1, { maxMessages: 1.5 })],
      ['ERR_OUT_OF_RANGE', () => connect({ reconnectionDelay: -1 })],
      ['ERR_OUT_OF_RANGE', () => init({ port: -1 })],
      ['ERR_OUT_OF_RANGE', () => init({ socketPath: '/nowhere/at/all', socketMode: 0o1000 })],
      ['ERR_OUT_OF_RANGE', () => connect({ randomizationFactor: 1.1 })],
      ['ERR_OUT_OF_RANGE', () => connect({ randomizationFactor: Number.NaN })],
      ['ERR_OUT_OF_RANGE', () => init({ port: 65_536 })],
      ['ERR_OUT_OF_RANGE', () => init({ port: 1.5 })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ address: 'localhost:3000' })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ address: 'ftp://localhost' })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ address: 'http://' })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ address: 'http://localhost:99999' })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ address: 'http://localhost', path: '/a b' })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ address: 'http://localhost', path: '/a\r\nx: y' })],
      ['ERR_INVALID_ARG_TYPE', () => socket.channel(loose(undefined))],
      ['ERR_INVALID_ARG_TYPE', () => server.channel(loose(5))],
      ['ERR_INVALID_ARG_VALUE', () => connect({ inboxPrefix: 'INBOX' })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ inboxPrefix: '_INBOX.*' })],
      ['ERR_INVALID_ARG_TYPE', () => connect({ extraHeaders: loose({ Cookie: 5 }) })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ extraHeaders: { Cookie: 'a\r\nHost: b' } })],
      ['ERR_INVALID_ARG_VALUE', () => connect({ extraHeaders: { 'a b': 'c' } })],
      ['ERR_INVALID_ARG_VALUE', () => client.socket.connect('b', { id: 'two.tokens' })],
      ['ERR_INVALID_ARG_VALUE', () => client.socket.connect('b', { id: '*' })],
      ['ERR_INVALID_ARG_VALUE', () => client.socket.connect('b', { dialect: loose('loud') })],
      ['ERR_INVALID_ARG_VALUE', () => client.socket.listen('b', { id: '' })],
      ['ERR_INVALID_ARG_VALUE', () => encode({ encoding: loose(2), mesg: 1 })],
      ['ERR_INVALID_ARG_TYPE', () => decode({ data: loose('x') })],
      ['ERR_DECODE', () => decode({ data: Buffer.from([0xc1]) })],
      ['ERR_DECODE', () => decode({ encoding: 1, data: Buffer.from('{') })],
      ['ERR_INVALID_ARG_TYPE', () => new MessageData({ raw: loose('x') })],
      ['ERR_INVALID_ARG_TYPE', () => matchesPattern({ pattern: loose(1), subject: 'a' })],
    ]
    for (const [code, call] of calls)
      expect([call.toString(), await codeOf(call)]).toEqual([call.toString(), code])
  })

  test('secrets in bad headers are not in the error', () => {
    let text = ''
    try {
      connect({ extraHeaders: { Cookie: 'secret\r\n' } })
    } catch (error) {
      text = String(error)
    }
    expect(text).toContain('Cookie')
    expect(text).not.toContain('secret')
  })
})

describe('at the wrong time', () => {
  test('listening twice on one subject', async () => {
    expect(await codeOf(() => client.socket.listen('errors.server'))).toBe('ERR_ALREADY_LISTENING')
    const again = client.socket.listen('errors.once')
    again.close()
    client.socket.listen('errors.once').close()
  })

  test('a second queue group on one pattern', async () => {
    const first = await client.subscribe('errors.queue', { queue: 'a' })
    expect(await codeOf(() => client.subscribe('errors.queue', { queue: 'b' }))).toBe('ERR_QUEUE_GROUP')
    first.close()
  })

  test('writing after the end is EPIPE, all else ERR_CLOSED, and closing twice is nothing', async () => {
    const own = client.socket.connect('errors.server')
    let closes = 0
    own.on('closed', () => closes++)
    await own.waitUntilReady()
    own.close()
    own.close()
    own.destroy()
    expect(await codeOf(() => own.write(1))).toBe('EPIPE')
    expect(await codeOf(() => own.request(1))).toBe('ERR_CLOSED')
    expect(await codeOf(() => own.waitUntilReady())).toBe('ERR_CLOSED')
    expect(await codeOf(() => own.connect())).toBe('ERR_CLOSED')
    await own.end()
    await own.end()
    expect(closes).toBe(1)
  })

  test('a closed client', async () => {
    const own = broker.client()
    const listener = own.socket.listen('errors.closed')
    await Promise.all([own.close(), own.close()])
    await own.close()
    const calls = [
      () => own.publish('a'),
      () => own.publishSync('a'),
      () => own.request('a'),
      () => own.requestMany('a'),
      () => own.subscribe('a'),
      () => own.subscribeSync('a'),
      () => own.interest('a'),
      () => own.waitUntilReady(),
      () => own.connect(),
      () => own.socket.connect('a'),
      () => own.socket.listen('a'),
    ]
    for (const call of calls)
      expect([call.toString(), await codeOf(call)]).toEqual([call.toString(), 'ERR_CLOSED'])
    expect(await codeOf(() => listener.write(1))).toBe('EPIPE')
  })

  test('answering what is no request', async () => {
    const subscription = await client.subscribe('errors.plain')
    client.publishSync('errors.plain', 1)
    const message = (await subscription.next()).value!
    expect(await codeOf(() => message.respond(1))).toBe('ERR_NOT_A_REQUEST')
    expect(await codeOf(() => message.respondSync(1))).toBe('ERR_NOT_A_REQUEST')
    subscription.close()
  })
})

test('a wrong address is in the text of its error, without user and password', () => {
  const failureOf = (address: string): string => {
    try {
      connect({ address, noCache: true })
    } catch (error) {
      return (error as Error).message
    }
    throw Error(`${address} was taken`)
  }
  expect(failureOf('htp://host:3000')).toMatch(/^address 'htp:\/\/host:3000': .*unknown scheme/)
  const masked = failureOf('htp://ann:secret@host:3000')
  expect(masked).toContain("'htp://…@host:3000'")
  expect(masked).not.toMatch(/ann|secret/)
})

test.each([
  ['adress', 'address'],
  ['url', 'address'],
  ['servers', 'address'],
  ['server', 'address'],
  ['host', 'address'],
  ['hostname', 'address'],
  ['port', 'address'],
  ['pass', 'password'],
  ['username', 'user'],
  ['reconnect', 'reconnection'],
  ['reconect', 'reconnection'],
])("connect says what '%s' is called here", (name, meant) => {
  expect(() => connect({ [name]: 'http://127.0.0.1:1' } as never)).toThrow(
    `connect has no option '${name}'; did you mean '${meant}'?`,
  )
})

test('the beginning of an option is taken for it, and no other word', () => {
  const client = connect({ address: 'http://127.0.0.1:1', noCache: true, autoConnect: false })
  const failureOf = (name: string): string => {
    try {
      client.socket.connect('x', { [name]: true } as never)
    } catch (error) {
      return (error as Error).message
    }
    throw Error(`${name} was taken`)
  }
  for (const name of ['reconnect', 'reconect', 'reconn'])
    expect(failureOf(name)).toMatch(/no option '\w+'; did you mean 'reconnection'\?$/)
  for (const name of ['rekonekt', 'volume']) expect(failureOf(name)).toMatch(/no option '\w+'$/)
  void client.close()
})

test.each<[string, RegExp]>([
  ['', /^token must not be empty$/],
  ['secret\n', /^token has characters that an HTTP header cannot have/],
  ['sec\0ret', /^token has characters that an HTTP header cannot have/],
])('a token that cannot be sent is refused by its name, and not shown: %j', (token, text) => {
  const attempt = (): unknown => connect({ address: 'http://127.0.0.1:1', noCache: true, token })
  expect(attempt).toThrow(text)
  expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  expect(attempt).not.toThrow(/secret/)
})

test.each<[(client: Client) => unknown, string]>([
  [client => client.publish(''), "invalid publish subject '': it is empty"],
  [client => client.publish('a b'), 'invalid publish subject a b: it has white space'],
  [client => client.request('a.*'), 'invalid publish subject a.*: a wildcard stands where none may'],
  [client => client.subscribe('a..b'), "invalid subscribe subject 'a..b': a token is empty"],
  [client => client.subscribe('>.a'), "invalid subscribe subject '>.a': a wildcard stands where none may"],
  [client => client.subscribe(`*.${'a.'.repeat(600)}b`), 'it is too long: at most 8192 bytes and 512 tokens'],
])('an invalid subject is told of with what is wrong: %#', async (call, text) => {
  const client = connect({ address: 'http://127.0.0.1:1', noCache: true, autoConnect: false })
  await expect((async () => await call(client))()).rejects.toThrow(text)
  await client.close()
})
