// Without a broker every wait of the contract ends: in time, with its own code, and it says what it waited for, and why that
// did not come.
import { once } from 'node:events'
import {
  type Client,
  type ConatSocketClient,
  type ConatSocketServer,
  type ConnectOptions,
  connect,
  type FabricError,
  init,
  type ServerOptions,
  type WaitOptions,
} from 'selvedge'
import { faultProxy } from 'selvedge/testing'
import { contractWaits } from '../support/contract-waits'
import { disconnection, join, listening } from '../support/sockets'
import { ENDS, iterated, OTHERS, type Row, type Stage, WAITS } from './wait-rows'

const QUICK: ConnectOptions = {
  noCache: true,
  reconnectionDelay: 5,
  reconnectionDelayMax: 20,
  offlineTimeout: 500,
}
/** Less than `offlineTimeout`, which ends those whose own time begins when they leave. */
const TIMEOUT = 150
/** One for each of their rows, at least. */
const SOCKETS = 12
const WINDOW = { maxQueueSize: 4 }
/** Longer than any of them may take on a busy machine. */
const HANGS = 20_000

test('every wait of the contract is in the table', () => {
  const rows = [WAITS, ENDS, OTHERS].flatMap(table => Object.keys(table))
  expect([...rows].sort()).toEqual([...contractWaits('index.d.ts')].sort())
})

const nothing = async (): Promise<void> => {}

/** What closes the stage. */
let close: () => Promise<unknown> = async () => {}

afterEach(async () => {
  await close()
})

/** There never was a broker. */
async function never(wire: Wire, options: ConnectOptions = {}, isTried = true): Promise<Stage> {
  const proxy = await faultProxy({ target: 1 })
  await proxy.refuse()
  const client = connect({ address: addressOf(proxy.address, wire), ...wireOf(wire), ...QUICK, ...options })
  const tried = once(client, 'connectFailed')
  const socket = () => {
    const one = client.socket.connect('chat', WINDOW)
    writeHalf(one)
    return one
  }
  const subscription = client.subscribeSync('unread')
  const listener = client.socket.listen('mine')
  if (isTried) await tried
  const stage = {
    client,
    socket,
    subscription,
    listener,
    server: undefined,
    question: undefined,
    hold: () => {},
    said: nothing,
    lose: nothing,
    restore: nothing,
  }
  close = () => Promise.all([client.close(), proxy.close()])
  return stage
}

/** The broker is there, until `lose`. */
async function there(
  wire: Wire,
  options: ConnectOptions = {},
  isAllowed?: ServerOptions['isAllowed'],
): Promise<Stage> {
  const broker = init({ port: 0, host: '127.0.0.1', permissionCache: 0, ...(isAllowed && { isAllowed }) })
  await broker.waitUntilReady()
  const proxy = await faultProxy({ target: broker.address()!.port })
  const client = connect({ address: proxy.address, ...wireOf(wire), ...QUICK, ...options })
  await client.waitUntilReady()
  const host = broker.client()
  const far = await listening(host, 'chat')
  far.on('connection', one => one.pause().on('data', () => {}))
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => attached(client)))
  const [listener, subscription] = [await listening(client, 'mine'), await client.subscribe('unread')]
  const [server, guest] = await join(listener, host, {})
  guest.pause()
  server.join('lobby')
  server.write(1)
  const asked = once((await client.subscribe('ask')).emitter, 'message')
  const answer = host.request('ask', 1).catch(() => {})
  const [question] = await asked
  const came = once(client.subscribeSync('unread').emitter, 'message')
  await host.publish('unread', 1)
  await came
  const lose = async (): Promise<void> => {
    const lost = disconnection(client)
    await proxy.refuse()
    await lost
    if (options.reconnection !== false) await once(client, 'connectFailed')
  }
  const restore = async (): Promise<void> => {
    await proxy.restore()
    for (const one of Object.values(far.sockets)) one.resume()
  }
  const said = async (): Promise<void> => {
    const last = once((await host.subscribe('said')).emitter, 'message')
    client.publishSync('said', 1)
    await last
  }
  let next = 0
  const stage = {
    client,
    socket: () => sockets[next++]!,
    subscription,
    listener,
    server,
    question,
    hold: () => proxy.blackhole('toClient'),
    said,
    lose,
    restore,
  }
  close = async () => {
    await Promise.all([client.close(), host.close(), answer])
    await Promise.all([proxy.close(), broker.close()])
  }
  return stage
}

/** The broker was there. */
async function gone(wire: Wire): Promise<Stage> {
  const stage = await there(wire)
  await stage.lose()
  return stage
}

async function attached(client: Client) {
  const socket = client.socket.connect('chat', WINDOW)
  await socket.waitUntilReady()
  writeHalf(socket)
  return socket
}

/** Half of the window: nothing may be written, as writers go, but for one more. */
function writeHalf(socket: ConatSocketClient): void {
  expect([socket.write(1), socket.write(2)]).toEqual([true, false])
}

type Wire = 'selvedge' | 'conat' | 'nats'

const wireOf = (wire: Wire): ConnectOptions => (wire === 'nats' ? {} : { wire })
const addressOf = (address: string, wire: Wire): string =>
  wire === 'nats' ? address.replace('http', 'nats') : address

/** How it ended. */
function outcome(wait: Promise<unknown> | undefined): Promise<FabricError | string> {
  if (wait === undefined) return Promise.resolve(NOTHING)
  const hangs = new Promise<string>(resolve => setTimeout(resolve, HANGS, 'still waits').unref())
  return Promise.race([
    wait.then(
      () => 'resolved',
      error => error as FabricError,
    ),
    hangs,
  ])
}

/** Begins them all, and returns how each ended. */
async function outcomesOf(
  stage: Stage,
  bounds: () => WaitOptions,
  bound: keyof WaitOptions,
  isMeant: (name: string) => boolean = () => true,
) {
  const all = Object.entries(WAITS).filter(([, { takes = bound }]) => takes === bound)
  const rows = all.filter(([name]) => isMeant(name))
  return await Promise.all(
    rows.map(async ([name, row]) => [name, row, await outcome(begun(row, stage, bounds()))] as const),
  )
}

/** What is refused at once counts as what rejects. */
function begun(row: Row, stage: Stage, bounds: WaitOptions): Promise<unknown> | undefined {
  try {
    return row.begin(stage, bounds)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** The text and the code of what an error comes from. */
function whyOf(error: FabricError): FabricError | undefined {
  const { cause } = error
  const isLate = (cause as FabricError | undefined)?.code === 408
  return (isLate ? (cause as FabricError).cause : cause) as FabricError | undefined
}

const NETWORK = /^(ECONN|ENOENT|EPIPE|ETIMEDOUT)/
const NETWORK_TEXT = /refused|reset|lost/i
const NOTHING = 'nothing to wait for'

/** Returns what is wrong with how a wait ended at its timeout. */
function wrongLate(row: Row, ended: FabricError | string, cause = NETWORK): string[] {
  if (typeof ended === 'string') return ended === NOTHING ? [] : [ended]
  const why = whyOf(ended)
  return [
    ...(ended.code === (row.code ?? 408) ? [] : [`code ${ended.code}: ${ended.message}`]),
    ...(row.what.test(ended.message) ? [] : [`does not say what: ${ended.message}`]),
    ...(row.isOwn || cause.test(String(why?.code)) ? [] : [`its cause is ${why}`]),
    ...(why === undefined || ended.message.includes(why.message)
      ? []
      : [`does not say why: ${ended.message}`]),
  ]
}

/** The same at an abort. */
function wrongAborted(row: Row, ended: FabricError | string, reason: Error): string[] {
  if (typeof ended === 'string') return ended === NOTHING ? [] : [ended]
  return [
    ...(ended.code === 'ABORT_ERR' ? [] : [`code ${ended.code}: ${ended.message}`]),
    ...(ended.cause === reason ? [] : [`its cause is ${ended.cause}`]),
    ...(row.what.test(ended.message) ? [] : [`does not say what: ${ended.message}`]),
    ...(NETWORK_TEXT.test(ended.message) ? [] : [`does not say why: ${ended.message}`]),
  ]
}

/** Nobody has said yet that it is to connect. */
async function unasked(wire: Wire): Promise<Stage> {
  const client = connect({ address: 'http://127.0.0.1:1', ...wireOf(wire), ...QUICK, autoConnect: false })
  const socket = () => {
    const one = client.socket.connect('chat', WINDOW)
    writeHalf(one)
    return one
  }
  const [subscription, listener] = [client.subscribeSync('unread'), client.socket.listen('mine')]
  close = () => client.close()
  const [server, question] = [undefined, undefined]
  const [hold, said, lose, restore] = [() => {}, nothing, nothing, nothing]
  return { client, socket, subscription, listener, server, question, hold, said, lose, restore }
}

describe.each(['selvedge', 'conat'] as const)('a client with `autoConnect: false`, %s wire', wire => {
  test('each wait ends at its timeout, and says that nobody has called connect()', async () => {
    const stage = await unasked(wire)
    const all = await outcomesOf(stage, () => ({ timeout: TIMEOUT }), 'timeout')
    const wrong = all.map(([name, row, ended]) => [name, wrongLate(row, ended, /^ERR_CONNECT$/)] as const)
    expect(Object.fromEntries(wrong.filter(([, found]) => found.length > 0))).toEqual({})
  })
})

const ONCE: ConnectOptions = { reconnection: false, offlineTimeout: 60_000 }
/** Where a client does not look for its broker again; and whether what waits has begun to before that is known. */
const STRANDED: [string, (wire: Wire) => Promise<Stage>, boolean][] = [
  ['that was never there', wire => never(wire, ONCE), false],
  ['that turns out not to be there', wire => never(wire, ONCE, false), true],
  [
    'that has gone',
    async wire => {
      const stage = await there(wire, ONCE)
      await stage.lose()
      return stage
    },
    false,
  ],
  ['that goes', wire => there(wire, ONCE), true],
]

describe.each(['selvedge', 'conat'] as const)('a client with `reconnection: false`, %s wire', wire => {
  test.each(STRANDED)('each wait for a broker %s ends at once, with why', async (_name, open, isEarly) => {
    const stage = await open(wire)
    // With a broker they wait for nothing.
    const isReady = stage.client.state === 'connected'
    const isMeant = (name: string) =>
      !WITHOUT_BROKER.includes(name) && !(isReady && /waitUntil(Connected|SignedIn|Ready)$/.test(name))
    const waits = outcomesOf(stage, () => ({ timeout: HANGS / 2 }), 'timeout', isMeant)
    const loops = Object.entries(LOOPS).map(
      async ([name, begin]) => [name, {} as Row, await outcome((async () => begin(stage))())] as const,
    )
    if (isEarly) await stage.lose()
    const all = [...(await waits), ...(await Promise.all(loops))]
    const wrong = all.flatMap(([name, , ended]) => (isStranded(ended) ? [] : [[name, String(ended)]]))
    expect(Object.fromEntries(wrong)).toEqual({})
  })
})

const reasonOf = async (one: ConatSocketClient | ConatSocketServer): Promise<never> => {
  throw (await once(one, 'closed'))[0]
}

/** What waits without a bound: each ends when nothing will come. */
const LOOPS: Record<string, (stage: Stage) => Promise<unknown>> = {
  'a loop over a socket': ({ client }) => iterated(client.socket.connect('chat')),
  'a loop over a stream': ({ client }) => iterated(client.socket.connect('chat').toDuplex()),
  'a loop over a stream of the platform': ({ client }) =>
    iterated(client.socket.connect('chat').toWeb().readable),
  'closed of a socket': ({ client }) => reasonOf(client.socket.connect('chat')),
  'a loop over a socket server': ({ client }) => iterated(client.socket.listen('theirs')),
  'closed of a socket server': ({ client }) => reasonOf(client.socket.listen('others')),
  'a loop over a subscription': ({ client }) => iterated(client.subscribeSync('silence')),
  'send without a bound': ({ client }) => client.socket.connect('chat').send(1),
  'drain without a bound': ({ client }) => {
    const socket = client.socket.connect('chat')
    socket.write(1)
    return socket.drain()
  },
  'request without a bound': ({ client }) => client.socket.connect('chat').request(1),
  'a request without a bound': ({ client }) => client.request('silence'),
}

describe.each(['selvedge', 'conat'] as const)('a client that is closed, %s wire', wire => {
  test('each wait is refused at once', async () => {
    const stage = await there(wire)
    await stage.client.close()
    const isMeant = (name: string) => !WITHOUT_BROKER.includes(name)
    const all = await outcomesOf(stage, () => ({ timeout: HANGS / 2 }), 'timeout', isMeant)
    const wrong = all.flatMap(([name, , ended]) => (isClosed(ended) ? [] : [[name, String(ended)]]))
    expect(Object.fromEntries(wrong)).toEqual({})
  })
})

/** What waits for the application, or resolves whatever there is. */
const WITHOUT_BROKER = [
  'Subscription.drain',
  // Resolves with the error of the engine, as Conat's does.
  'Connection.timeout.emitWithAck',
  // Have no socket to ask, or nobody in the room.
  'ConatSocketServer.request',
  'Broadcast.send',
  'Broadcast.request',
]

/** Whether it ended because the connection was lost, itself or as the cause. */
function isStranded(ended: FabricError | string): boolean {
  for (
    let error = ended as FabricError | undefined;
    error !== undefined;
    error = error.cause as FabricError
  ) {
    if (NETWORK.test(String(error.code)) && error.code !== 'EPIPE') return true
  }
  return ended === NOTHING
}

/** Whether it ended because this side has closed. */
function isClosed(ended: FabricError | string): boolean {
  return typeof ended === 'string'
    ? ended === NOTHING
    : /^(ERR_CLOSED|EPIPE|ERR_UNDELIVERED)$/.test(String(ended.code))
}

const situations: [string, Wire, () => Promise<Stage>][] = [
  ['that was never there', 'selvedge', () => never('selvedge')],
  ['that was never there', 'conat', () => never('conat')],
  ['that was never there', 'nats', () => never('nats')],
  ['that has gone', 'selvedge', () => gone('selvedge')],
  ['that has gone', 'conat', () => gone('conat')],
]

describe.each(situations)('without a broker %s, %s wire', (_name, _wire, open) => {
  test('each wait ends at its timeout, says what it waited for, and why that did not come', async () => {
    const stage = await open()
    const all = await outcomesOf(stage, () => ({ timeout: TIMEOUT }), 'timeout')
    const wrong = all.map(([name, row, ended]) => [name, wrongLate(row, ended)] as const)
    expect(Object.fromEntries(wrong.filter(([, found]) => found.length > 0))).toEqual({})
  })

  test('each wait ends with its signal, whose reason is the cause', async () => {
    const stage = await open()
    const reason = Error('enough')
    const controller = new AbortController()
    const waits = outcomesOf({ ...stage }, () => ({ signal: controller.signal }), 'signal')
    // Some begin by looking for their client.
    await new Promise(setImmediate)
    controller.abort(reason)
    const wrong = (await waits).map(([name, row, ended]) => [name, wrongAborted(row, ended, reason)] as const)
    expect(Object.fromEntries(wrong.filter(([, found]) => found.length > 0))).toEqual({})
  })

  test('each end is over', async () => {
    const stage = await open()
    for (const [name, end] of Object.entries(ENDS)) {
      expect({ name, ended: await outcome(end(stage)) }).not.toEqual({ name, ended: 'still waits' })
    }
  })
})

/** What is true before the connection ends, or resolves whatever comes. */
const HOLD_BEFORE = [
  ...['waitUntilConnected', 'waitUntilSignedIn', 'waitUntilReady', 'socket.listen'].map(
    name => `Client.${name}`,
  ),
  ...['ConatSocketBase.waitUntilReady', 'ConatSocketServer.waitUntilReady'],
  // Resolves with the error of the engine, as Conat's does.
  'Connection.timeout.emitWithAck',
  // Has no time of its own, and is asked again.
  'Client.interest',
]

describe.each(['selvedge', 'conat'] as const)('a connection that ends while they wait, %s wire', wire => {
  test('each wait says what it waited for, and has the end of the connection as its cause', async () => {
    const stage = await there(wire)
    stage.hold()
    // Longer than until the connection has ended: whatever fails with it fails then.
    const isMeant = (name: string) => !HOLD_BEFORE.includes(name)
    const waits = outcomesOf(stage, () => ({ timeout: 10 * TIMEOUT }), 'timeout', isMeant)
    await stage.said()
    await stage.lose()
    const wrong = (await waits).map(([name, row, ended]) => [name, wrongLate(row, ended)] as const)
    expect(Object.fromEntries(wrong.filter(([, found]) => found.length > 0))).toEqual({})
  })
})

describe.each(['selvedge', 'conat'] as const)('a broker that stands still, %s wire', wire => {
  test('each wait ends at its timeout, and says what it waited for', async () => {
    const stage = await there(wire, { offlineTimeout: 60_000 })
    stage.hold()
    const isMeant = (name: string) => !HOLD_BEFORE.includes(name)
    const all = await outcomesOf(stage, () => ({ timeout: 10 * TIMEOUT }), 'timeout', isMeant)
    const wrong = all.map(([name, row, ended]) => [name, wrongLate(row, ended, /.*/)] as const)
    expect(Object.fromEntries(wrong.filter(([, found]) => found.length > 0))).toEqual({})
  })
})

/** Nobody listens there. */
async function unserved(wire: Wire): Promise<Stage> {
  const stage = await there(wire)
  const socket = () => {
    const one = stage.client.socket.connect('nobody', WINDOW)
    writeHalf(one)
    return one
  }
  return { ...stage, socket }
}

describe.each(['selvedge', 'conat'] as const)('a subject that nobody serves, %s wire', wire => {
  test('each wait of a socket says so at its timeout', async () => {
    const stage = await unserved(wire)
    const isMeant = (name: string) => name.startsWith('ConatSocketBase.') || name === 'Client.socket.connect'
    const all = await outcomesOf(stage, () => ({ timeout: TIMEOUT }), 'timeout', isMeant)
    const wrong = all.map(([name, row, ended]) => [name, wrongLate(row, ended, /^503$/)] as const)
    expect(Object.fromEntries(wrong.filter(([, found]) => found.length > 0))).toEqual({})
    const nobody = stage.client.socket.connect('nobody', { timeout: TIMEOUT })
    expect(await once(nobody, 'closed')).toEqual([
      expect.objectContaining({ code: 408, message: expect.stringMatching(/nobody serves 'nobody'/) }),
      0,
    ])
  })
})

const INBOX = '_INBOX_denied'
const isNoInbox = ({ type, subject }: { type: string; subject: string }): boolean =>
  type === 'pub' || !subject.startsWith(INBOX)

/** The broker does not let the client have its inbox. */
async function denied(wire: Wire): Promise<Stage> {
  const broker = init({ port: 0, host: '127.0.0.1', isAllowed: isNoInbox })
  await broker.waitUntilReady()
  const client = connect({ address: `${broker.address()}`, ...wireOf(wire), ...QUICK, inboxPrefix: INBOX })
  const socket = () => {
    const one = client.socket.connect('chat', WINDOW)
    writeHalf(one)
    return one
  }
  const subscription = client.subscribeSync('unread')
  const listener = client.socket.listen('mine')
  close = () => Promise.all([client.close(), broker.close()])
  const [server, question] = [undefined, undefined]
  const [hold, said, lose, restore] = [() => {}, nothing, nothing, nothing]
  return { client, socket, subscription, listener, server, question, hold, said, lose, restore }
}

/** The broker let the client have it, and does not when the client comes back. */
async function deniedLater(wire: Wire): Promise<Stage> {
  let isTaken = false
  const isAllowed = (asked: { type: string; subject: string }) => !isTaken || isNoInbox(asked)
  const stage = await there(wire, { offlineTimeout: 60_000, inboxPrefix: INBOX }, isAllowed)
  await stage.lose()
  isTaken = true
  return stage
}

/** What needs no inbox, or ends by itself. */
const WITHOUT_INBOX = [
  'Client.waitUntilConnected',
  'Client.waitUntilSignedIn',
  // Waits for the application.
  'Subscription.drain',
  // Has a limit of its own, and says what was left.
  'ConatSocketBase.end',
  // Resolves with the error of the engine, as Conat's does.
  'Connection.timeout.emitWithAck',
]
/** Of sockets that were attached and may come back; those that stay away for too long close, which ends it. */
const GOES_ON_ATTACHED = ['ConatSocketBase.waitUntilWritable', 'Broadcast.send']

describe.each([
  ['from the beginning', 'selvedge', denied, []],
  ['from the beginning', 'conat', denied, []],
  ['after a reconnect', 'selvedge', deniedLater, GOES_ON_ATTACHED],
  ['after a reconnect', 'conat', deniedLater, GOES_ON_ATTACHED],
] as const)('an inbox that is denied %s, %s wire', (_when, wire, open, others) => {
  test('each wait ends with 403 at once, and says what is denied', async () => {
    const stage = await open(wire)
    const isMeant = (name: string) => ![...WITHOUT_INBOX, ...others].includes(name)
    const waits = outcomesOf(stage, () => ({ timeout: HANGS / 2 }), 'timeout', isMeant)
    await stage.restore()
    const wrong = (await waits).flatMap(([name, , ended]) => (isDenied(ended) ? [] : [[name, String(ended)]]))
    expect(Object.fromEntries(wrong)).toEqual({})
  })
})

/** Whether it ended because the inbox is denied, if there was anything to wait for. */
function isDenied(ended: FabricError | string): boolean {
  if (typeof ended === 'string') return ended === NOTHING
  return ended.code === 403 && ended.message.includes(INBOX)
}

const loopOf = async (items: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of items);
}

test.each(['selvedge', 'conat'] as const)(
  'loops of what never stood end with 403 if the inbox is denied, %s wire',
  async wire => {
    const stage = await denied(wire)
    const socket = stage.socket()
    const loops = [stage.subscription, socket, socket.iter(), stage.listener].map(one => outcome(loopOf(one)))
    const ended = await Promise.all(loops)
    expect(ended.filter(one => !isDenied(one)).map(String)).toEqual([])
    expect([socket.state, stage.listener.state]).not.toContain('closed')
  },
)

/** Those that resolve once there is a broker. */
const GO_ON = [
  ...[
    'waitUntilConnected',
    'waitUntilSignedIn',
    'waitUntilReady',
    'subscribe',
    'service',
    'publish',
    'interest',
  ],
  ...['syncSubscriptions', 'getSubscriptions', 'cluster', 'socket.listen'],
].map(name => `Client.${name}`)
const SOCKETS_GO_ON = ['send', 'drain', 'waitUntilDrain', 'waitUntilWritable', 'waitUntilReady', 'end'].map(
  name => `ConatSocketBase.${name}`,
)

describe.each(['selvedge', 'conat'] as const)('a broker that comes back, %s wire', wire => {
  test('each wait without a bound goes on', async () => {
    const stage = await there(wire, { offlineTimeout: 60_000 })
    await stage.lose()
    const names = [...GO_ON, ...SOCKETS_GO_ON, 'ConatSocketServer.waitUntilReady']
    const loop = outcome(stage.subscription.next().then(() => stage.subscription.next()))
    const waits = names.map(async name => ({ name, ended: await outcome(WAITS[name]!.begin(stage, {})) }))
    await stage.restore()
    expect(await Promise.all(waits)).toEqual(names.map(name => ({ name, ended: 'resolved' })))
    await stage.client.publish('unread', 2)
    expect(await loop).toBe('resolved')
  })
})
