// Names and other options of sockets and brokers that cannot be: each is refused where it is given, by its name.
import { once } from 'node:events'
import { ConatServer as Broker, type ConatServer, type FabricError, init, sysApi } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { listening } from '../support/sockets'

let broker: ConatServer

beforeAll(async () => {
  broker = init({ port: null })
  await broker.waitUntilReady()
})

afterAll(() => broker.close())

const LONG = 'x'.repeat(1025)

function refusal(act: () => unknown): Partial<FabricError> {
  try {
    act()
  } catch (error) {
    return error as FabricError
  }
  throw Error('it was not refused')
}

test.each([
  ['a.b', /^id must be one token of a subject.*'?a\.b/],
  ['a b', /^id must be one token of a subject/],
  ['*', /^id must be one token of a subject/],
  ['', /^id must not be empty$/],
  [LONG, /^id has 1025 bytes, and at most 1024 are possible/],
])('the id %j', (id, text) => {
  const client = broker.client()
  const wanted = { code: 'ERR_INVALID_ARG_VALUE', message: expect.stringMatching(text) }
  expect(refusal(() => client.socket.connect('chat', { id }))).toMatchObject(wanted)
  expect(refusal(() => client.socket.listen('chat', { id }))).toMatchObject(wanted)
  expect(refusal(() => init({ port: null, id }))).toMatchObject(wanted)
  expect(refusal(() => Broker.check({ port: null, id }))).toMatchObject(wanted)
  const ofCluster = { ...wanted, message: expect.stringMatching(/^clusterName /) }
  expect(refusal(() => init({ port: null, clusterName: id }))).toMatchObject(ofCluster)
  expect(refusal(() => sysApi(client, { clusterName: id }))).toMatchObject(ofCluster)
  client.close()
})

test.each([
  ['a..b', 'a token is empty'],
  ['.a', 'a token is empty'],
  ['', 'it is empty'],
  ['a b', 'it has white space'],
  ['a\ud800', 'it has half of a surrogate pair'],
  ['a.>', /wildcard|must not end with >/],
  ['x'.repeat(8193), 'it is too long'],
  ['x'.repeat(8192 - 500), 'it is too long'],
  [Array(512).fill('a').join('.'), 'it is too long'],
])('the subject %.20j', (subject, text) => {
  const client = broker.client()
  const id = 'i'.repeat(400)
  const why = typeof text === 'string' ? expect.stringContaining(text) : expect.stringMatching(text)
  const wanted = { code: 'ERR_INVALID_SUBJECT', message: why }
  expect(refusal(() => client.socket.connect(subject, { id }))).toMatchObject(wanted)
  expect(refusal(() => client.socket.listen(subject, { id }))).toMatchObject(wanted)
  client.close()
})

test('a wait that is neither a boolean nor a number', () => {
  const client = broker.client()
  expect(refusal(() => client.socket.connect('chat', { wait: 'yes' as never }))).toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
    message: 'wait must be a boolean or a number of milliseconds, got string',
  })
  client.close()
})

describeFabrics('a loadBalancer that chooses', fabric => {
  test('a server that does not exist: whoever waits is told the id, and another one is asked for', async () => {
    const client = fabric.client()
    const ids = ['gone', 'away']
    const socket = client.socket.connect('chat', { loadBalancer: () => ids[0]! })
    await expect(socket.waitUntilReady(1000)).rejects.toMatchObject({
      code: 408,
      cause: {
        code: 503,
        message: expect.stringContaining("with the id 'gone', which its loadBalancer has chosen"),
      },
    })
    socket.close()
    const now = client.socket.connect('chat', { wait: false, loadBalancer: () => ids[1]! })
    const [reason] = await once(now, 'closed')
    expect(reason).toMatchObject({ code: 503, message: expect.stringContaining("'away'") })
    await listening(fabric.client(), 'chat', { id: 'here' })
    const good = client.socket.connect('chat', { loadBalancer: () => 'here' })
    await good.waitUntilReady()
  })

  test('what is no id of a server: whoever waits is told what it was', async () => {
    const client = fabric.client()
    const socket = client.socket.connect('chat', { loadBalancer: () => 'a.b' })
    await expect(socket.waitUntilReady(500)).rejects.toMatchObject({
      code: 408,
      cause: {
        code: 503,
        message: "its loadBalancer has returned 'a.b', and an id is one token of a subject",
      },
    })
  })
})
