// Errors name the call that the program has made, not one that it is made of: for each call of the contract that takes options.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Client,
  type ConatSocketClient,
  type ConatSocketServer,
  callConatService,
  connect,
  createServiceClient,
  type FabricError,
  init,
  messageData,
  type ServerSocket,
  sysApi,
  sysApiMany,
  withOptions,
} from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { join as joinPair, listening } from '../support/sockets'

type Options = object | undefined
/** Calls by what errors name them, with options that may be wrong. */
type Calls<On> = Record<string, (on: On, options: Options) => unknown>

const loop = async (items: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of items);
}

const CLIENT: Calls<Client> = {
  subscribe: (client, options) => client.subscribe('a', options),
  sub: (client, options) => client.sub('a', options),
  subscribeSync: (client, options) => loop(client.subscribeSync('a', options)),
  publish: (client, options) => client.publish('a', 1, options),
  pub: (client, options) => client.pub('a', 1, options),
  publishSync: (client, options) => client.publishSync('a', 1, options),
  request: (client, options) => client.request('a', 1, options),
  requestMany: (client, options) => client.requestMany('a', 1, options),
  call: (client, options) => client.call('a', options).add(),
  callMany: (client, options) => client.callMany('a', options).add(),
  service: (client, options) => client.service('a', {}, options),
  interest: (client, options) => client.interest('a', options),
  waitForInterest: (client, options) => client.waitForInterest('a', options),
  waitUntilConnected: (client, options) => client.waitUntilConnected(options),
  waitUntilSignedIn: (client, options) => client.waitUntilSignedIn(options),
  waitUntilReady: (client, options) => client.waitUntilReady(options),
  syncSubscriptions: (client, options) => client.syncSubscriptions(options),
  getSubscriptions: (client, options) => client.getSubscriptions(options),
  getInbox: (client, options) => client.getInbox(options),
  cluster: (client, options) => client.cluster(options),
  'socket.connect': (client, options) => client.socket.connect('a', options),
  'socket.listen': (client, options) => client.socket.listen('a', options),
  drain: (client, options) => client.drain(options),
  sysApi: (client, options) => sysApi(client, { clusterName: 'c', ...options } as never).stats(),
  sysApiMany: (client, options) => sysApiMany(client, { clusterName: 'c', ...options } as never).stats(),
  messageData: (_, options) => messageData(1, options),
  withOptions: (client, options) => withOptions(client.call('a'), { ...options }),
  connect: (_, options) => connect(options as never),
  init: (_, options) => init(options as never),
}

const SOCKET: Calls<ConatSocketClient> = {
  write: (socket, options) => options && socket.write(1, { volatile: 'no', ...options } as never),
  send: (socket, options) => socket.send(1, options),
  request: (socket, options) => socket.request(1, options),
  requestMany: (socket, options) => socket.requestMany(1, options),
  drain: (socket, options) => socket.drain(options),
  waitUntilDrain: (socket, options) => socket.waitUntilDrain(options),
  waitUntilWritable: (socket, options) => socket.waitUntilWritable(options),
  waitUntilReady: (socket, options) => socket.waitUntilReady(options),
  end: (socket, options) => socket.end(options),
  toDuplex: (socket, options) => socket.toDuplex(options),
}

const LISTENER: Calls<{ listener: ConatSocketServer; server: ServerSocket }> = {
  request: ({ listener }, options) => listener.request(1, options as never),
  end: ({ listener }, options) => listener.end(options),
  drain: ({ listener }, options) => listener.drain(options),
  waitUntilReady: ({ listener }, options) => listener.waitUntilReady(options),
  join: ({ server }, options) => server.join('a', options),
  send: ({ listener }, options) => listener.to('a').send(1, options),
}

async function failureOf(call: () => unknown): Promise<FabricError> {
  try {
    await call()
  } catch (error) {
    return error as FabricError
  }
  throw new Error('nothing was thrown')
}

/** Names of calls that errors must not name in the place of another one. */
const NAMES = new Set([...Object.keys(CLIENT), ...Object.keys(SOCKET), ...Object.keys(LISTENER), 'wait'])

describeFabrics('an option that is none', fabric => {
  test('is refused by the name of the call', async () => {
    const client = fabric.client()
    const listener = await listening(fabric.client(), 'l')
    const [server, socket] = await joinPair(listener, client)
    const wrong = { nonsense: 1 }
    const rows: [string, () => unknown][] = [
      ...Object.entries(CLIENT).map(
        ([name, call]) => [name, () => call(client, wrong)] as [string, () => unknown],
      ),
      ...Object.entries(SOCKET)
        .filter(([name]) => name !== 'write')
        .map(([name, call]) => [name, () => call(socket, wrong)] as [string, () => unknown]),
      ...Object.entries(LISTENER).map(
        ([name, call]) => [name, () => call({ listener, server }, wrong)] as [string, () => unknown],
      ),
    ]
    const said: string[] = []
    for (const [name, call] of rows) {
      const { code, message } = await failureOf(call)
      said.push(`${name}: ${code} ${message.split(' has ')[0]}`)
    }
    expect(said).toEqual(rows.map(([name]) => `${name}: ERR_UNKNOWN_OPTION ${name}`))
  })
})

describe('without a broker', () => {
  let client: Client
  beforeEach(() => {
    client = connect({ address: 'http://127.0.0.1:1', noCache: true, offlineTimeout: 200 })
    client.on('connectFailed', () => {})
  })
  afterEach(() => client.close())

  const bounded = Object.keys(CLIENT).filter(
    name => !/^(publishSync|messageData|withOptions|connect|init|drain|socket\.)/.test(name),
  )

  test.each(bounded)('%s names itself, and no other call, when it is given up', async name => {
    const bounds = [{ signal: AbortSignal.timeout(30) }, ...(name === 'interest' ? [] : [{ timeout: 30 }])]
    for (const options of bounds) {
      const { code, message } = await failureOf(() => CLIENT[name]!(client, options))
      expect([408, 'ABORT_ERR']).toContain(code)
      // Some say what did not come, in words; the first call that is named is the one that was made.
      const [said] = message.split(': cannot connect')
      const named = said!.split(/[^\w.]+/).filter(word => NAMES.has(word))
      if (named.length > 0) expect([message, named[0]]).toEqual([message, name])
    }
  })

  test('what is made of a request says what it is', async () => {
    const options = { timeout: 30 }
    const calls: [string, () => unknown][] = [
      [
        "call 'services.hub.s' add(): ",
        () => createServiceClient<{ add(): 1 }>({ service: 's', client, ...options }).add(),
      ],
      ['callConatService: ', () => callConatService({ service: 's', mesg: 1, client, ...options })],
      ["call 'a' add(): ", () => withOptions(client.call('a'), options).add()],
      ["callMany 'a' add(): ", () => loop(client.callMany<{ add(): 1 }>('a', options).add())],
    ]
    for (const [start, call] of calls)
      expect((await failureOf(call)).message).toMatch(new RegExp(`^${start.replace(/[()]/g, '\\$&')}`))
  })
})

test('every call of the contract that takes options of a wait is in the table', () => {
  const text = readFileSync(join(__dirname, '../../index.d.ts'), 'utf8')
  const start = text.indexOf('export declare class Client ')
  const body = text.slice(start, text.indexOf('\n}\n', start))
  const names = [...body.matchAll(/^ {2}(\w+)(?:<[^(]*>)?\(([^)]*\b(?:\w+Options|signal)\b[^)]*)\)/gm)].map(
    ([, name]) => name!,
  )
  expect(names.length).toBeGreaterThan(15)
  expect(
    [...new Set(names)].filter(name => !(name in CLIENT) && !['constructor', 'message'].includes(name)),
  ).toEqual([])
})
