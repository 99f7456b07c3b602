// Options and headers are objects of names and values. What is none, a forgotten `await` above all, would be taken for no options
// at all; it is refused where it is given.
import {
  type Client,
  type ConatServer,
  type ConatSocketClient,
  connect,
  type FabricError,
  init,
} from 'selvedge'
import { closePages, pageClient } from '../browser/party'

const loose = (value: unknown) => value as any
const OTHERS: Record<string, () => unknown> = {
  'a Map': () => new Map([['a', 1]]),
  'a Promise': () => Promise.resolve({ timeout: 5 }),
  Headers: () => new Headers({ a: '1' }),
  'an Error': () => new Error('x'),
  'an Error with a code': () => Object.assign(new Error('x'), { code: 'E' }),
  'a Date': () => new Date(),
  'a Buffer': () => Buffer.from('x'),
  'an empty Buffer': () => Buffer.alloc(0),
  'an array': () => [],
  'a text': () => 'x',
}

class Options {
  a = 1
}
const FINE: Record<string, () => object> = {
  'an object': () => ({}),
  'one without a prototype': () => Object.create(null) as object,
  'one of a class': () => new (class Nothing {})(),
}

let broker: ConatServer
let client: Client
let socket: ConatSocketClient

beforeAll(async () => {
  broker = init({ port: 0 })
  await broker.waitUntilReady()
  client = connect({ address: broker.address()!, noCache: true })
  client.socket.listen('there').on('connection', socket => socket.on('data', () => {}))
  socket = client.socket.connect('there')
  await socket.waitUntilReady()
})
afterAll(async () => {
  await closePages()
  await client.close()
  await broker.close()
})

/** Calls that take options, or headers. */
const CALLS: Record<string, (given: any) => unknown> = {
  connect: given => connect(given),
  init: given => init(given),
  publish: given => client.publish('a', 1, given),
  publishSync: given => client.publishSync('a', 1, given),
  request: given => client.request('there', 1, given),
  subscribe: given => client.subscribe('a', given),
  listen: given => client.socket.listen('other', given),
  'socket.connect': given => client.socket.connect('there', given),
  write: given => socket.write(1, given),
  send: given => socket.send(1, given),
}

async function codeOf(call: () => unknown): Promise<unknown> {
  try {
    const made = (await call()) as { close?(): unknown } | undefined
    await made?.close?.()
    return 'taken'
  } catch (error) {
    return (error as FabricError).code
  }
}

describe.each(Object.keys(CALLS))('%s', name => {
  test.each(Object.keys(OTHERS))('refuses %s', async kind => {
    // The address of a broker may be a text.
    if (name === 'connect' && kind === 'a text') return
    expect(await codeOf(() => CALLS[name]!(OTHERS[kind]!()))).toBe('ERR_INVALID_ARG_TYPE')
  })
})

test.each(Object.keys(FINE))('%s is taken', async kind => {
  for (const name of ['publish', 'subscribe', 'write', 'send']) {
    expect([name, await codeOf(() => CALLS[name]!(FINE[kind]!()))]).toEqual([name, 'taken'])
  }
})

test('headers of a class are headers', async () => {
  expect(await codeOf(() => socket.write(1, loose(new Options())))).toBe('taken')
})

test.each(Object.keys(OTHERS))('a page refuses %s', async kind => {
  const page = pageClient(String(broker.address()))
  const own = page.socket.connect('there')
  await own.waitUntilReady()
  for (const call of [
    () => own.write(1, loose(OTHERS[kind]!())),
    () => page.publish('a', 1, loose(OTHERS[kind]!())),
  ]) {
    expect(await codeOf(call)).toBe('ERR_INVALID_ARG_TYPE')
  }
})
