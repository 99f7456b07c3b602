// The monitor of a broker over HTTP: who gets it, what it tells, and what it never tells.
import { once } from 'node:events'
import { createServer } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import {
  type BrokerEvent,
  type Client,
  type ConatServer,
  type ConnectionDetail,
  type ConnectionPage,
  connect,
  init,
  type MonitorOverview,
  type ServerOptions,
  type SocketPage,
  type SubjectPage,
} from 'selvedge'
import { type Answer, ask } from '../support/http'
import { disconnection } from '../support/sockets'

const PASSWORD = 'a-password-to-look'
const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function start(options: ServerOptions): Promise<{ broker: ConatServer; port: number }> {
  const broker = init({ port: 0, ...options })
  open.push(broker)
  await broker.waitUntilReady()
  return { broker, port: broker.address()!.port }
}

async function client(broker: ConatServer, who = 'ann'): Promise<Client> {
  const made = connect({ address: String(broker.address()), noCache: true, extraHeaders: { who } })
  open.push(made)
  await made.waitUntilReady()
  return made
}

async function api<T>(port: number, question: string): Promise<T> {
  const { status, body } = await ask(port, { path: `/monitor/api/${question}` })
  expect({ status, question }).toEqual({ status: 200, question })
  return JSON.parse(body) as T
}

const login = (port: number, password: string, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(port, {
    method: 'POST',
    path: '/monitor/login',
    headers,
    body: String(new URLSearchParams({ password })),
  })

test('it is off unless asked for', async () => {
  const { port } = await start({ metrics: true })
  expect((await ask(port, { path: '/monitor' })).status).toBe(404)
  expect((await ask(port, { path: '/monitor/api/overview' })).status).toBe(404)
})

test.each<[string, ServerOptions]>([
  ['beyond loopback without a password', { port: 0, host: '0.0.0.0', monitor: true }],
  ['of a gateway without a password', { port: 0, monitor: {}, upstream: 'nats://127.0.0.1:1' }],
  ['with a password that is none', { port: 0, monitor: { password: 'short' } }],
])('refused: %s', (_name, options) => {
  expect(() => init(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
})

describe('actions', () => {
  const act = (
    port: number,
    action: string,
    body = '',
    headers: Record<string, string> = {},
  ): Promise<Answer> =>
    ask(port, {
      method: 'POST',
      path: `/monitor/api/${action}`,
      headers: {
        Authorization: `Basic ${btoa(`:${PASSWORD}`)}`,
        'Content-Type': 'application/json',
        ...headers,
      },
      body,
    })
  const monitor = { password: PASSWORD, actions: true }

  test('disconnect and revalidate connections, and drain the broker; each is an event', async () => {
    const { broker, port } = await start({ monitor })
    const one = await client(broker)
    const gone = disconnection(one)
    const ids = Object.keys(broker.sockets)
    const answered = await act(port, 'disconnect', JSON.stringify({ ids }))
    expect([answered.status, answered.body]).toEqual([200, '{"count":1}'])
    await gone
    await one.waitUntilReady()
    expect((await act(port, 'revalidate')).body).toBe('{"count":1}')
    const basic = { Authorization: `Basic ${btoa(`:${PASSWORD}`)}` }
    const { body } = await ask(port, { path: '/monitor/api/events', headers: basic })
    const { events } = JSON.parse(body) as { events: BrokerEvent[] }
    const noted = events.filter(({ kind }) => kind === 'action').map(({ code, text }) => [code, text])
    expect(noted).toEqual([
      ['disconnect', `by 127.0.0.1: ${ids[0]}`],
      ['revalidate', 'by 127.0.0.1'],
    ])
    const closed = once(broker, 'closed')
    expect((await act(port, 'drain')).status).toBe(200)
    await closed
  })

  test.each<[string, number, string, string, Record<string, string>]>([
    ['without a password', 401, 'disconnect', '{"ids":[]}', { Authorization: '' }],
    ['with a wrong one', 401, 'drain', '', { Authorization: `Basic ${btoa(':wrong')}` }],
    ['of a form', 415, 'drain', 'a=b', { 'Content-Type': 'application/x-www-form-urlencoded' }],
    ['of another page', 403, 'drain', '', { Origin: 'https://evil.example' }],
    ['with a body that is none', 400, 'disconnect', '{', {}],
    ['without ids', 400, 'disconnect', '{}', {}],
    ['with ids that are none', 400, 'revalidate', '{"ids":[1]}', {}],
    ['with too much', 413, 'disconnect', JSON.stringify({ ids: ['x'.repeat(2000)] }), {}],
    ['that is unknown', 405, 'explode', '', {}],
  ])('are refused: %s', async (_name, status, action, body, headers) => {
    const { broker, port } = await start({ monitor })
    await client(broker)
    expect((await act(port, action, body, headers)).status).toBe(status)
    expect([broker.state, broker.totals?.connections, broker.draining]).toEqual(['ready', 1, false])
  })

  test('are off unless asked for, and need a password', async () => {
    const { port } = await start({ monitor: { password: PASSWORD } })
    expect((await act(port, 'drain')).status).toBe(403)
    expect(() => init({ port: 0, monitor: { actions: true } })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    )
  })
})

test('every answer keeps its page to itself', async () => {
  const { port } = await start({ monitor: true })
  for (const path of [
    '/monitor',
    '/monitor/',
    '/monitor/app.mjs',
    '/monitor/api/overview',
    '/monitor/nothing',
  ]) {
    const { headers } = await ask(port, { path })
    expect({ path, ...headers }).toMatchObject({
      path,
      'content-security-policy': expect.stringMatching(
        /default-src 'none'; script-src 'self'.*frame-ancestors 'none'/,
      ),
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      connection: 'close',
    })
    expect(headers['access-control-allow-origin']).toBeUndefined()
  }
})

test('without a password only this machine is answered, by its name and with nobody in between', async () => {
  const { port } = await start({ monitor: true })
  const headers: Record<string, string>[] = [
    { Host: 'evil.example' },
    { 'X-Forwarded-For': '10.0.0.1' },
    { Via: '1.1 proxy' },
    { Forwarded: 'for=10.0.0.1' },
    { 'X-Forwarded-Proto': 'https' },
    { 'X-Real-IP': '10.0.0.1' },
    { 'CF-Connecting-IP': '10.0.0.1' },
    { Origin: 'https://evil.example' },
    { Origin: 'null' },
  ]
  for (const given of headers) {
    expect({ given, ...(await ask(port, { path: '/monitor', headers: given })) }).toMatchObject({
      given,
      status: 403,
    })
  }
  const own = { Origin: `http://127.0.0.1:${port}`, Host: `127.0.0.1:${port}` }
  expect((await ask(port, { path: '/monitor/api/overview', headers: own })).status).toBe(200)
})

test('what is no file of the page, no question and no way to ask is refused', async () => {
  const { port } = await start({ monitor: { password: PASSWORD } })
  for (const path of [
    '/monitor/../package.json',
    '/monitor/%2e%2e/package.json',
    '/monitor/toString',
    '/monitors',
  ])
    expect({ path, status: (await ask(port, { path })).status }).toEqual({ path, status: 404 })
  const socket = net.connect(port, '127.0.0.1')
  socket.end(
    'POST /monitor/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy',
  )
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /)
  const post = await ask(port, { method: 'POST', path: '/monitor', body: 'x' })
  expect(post).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
  expect((await ask(port, { method: 'POST', path: '/monitor/login', body: 'x'.repeat(1025) })).status).toBe(
    413,
  )
  expect((await ask(port, { path: '/monitor/login' })).status).toBe(405)
})

test('a file is sent again only when it is another one', async () => {
  const { port } = await start({ monitor: true })
  const first = await ask(port, { path: '/monitor/app.mjs' })
  const headers = { 'If-None-Match': first.headers.etag! }
  expect(await ask(port, { path: '/monitor/app.mjs', headers })).toMatchObject({ status: 304, body: '' })
  expect(await ask(port, { method: 'HEAD', path: '/monitor' })).toMatchObject({ status: 200, body: '' })
})

test('with a password a session is needed, and whoever guesses has to wait', async () => {
  const { broker, port } = await start({ monitor: { password: PASSWORD } })
  expect(JSON.stringify(broker.options)).not.toContain(PASSWORD)
  const path = '/monitor/api/overview'
  expect((await ask(port, { path: '/monitor' })).status).toBe(200)
  expect((await ask(port, { path })).status).toBe(401)
  const { status, headers } = await login(port, PASSWORD)
  const [cookie] = headers['set-cookie']!
  expect([status, cookie]).toEqual([
    204,
    expect.stringMatching(/^selvedge_monitor=[\w-]{43}; Max-Age=43200; HttpOnly; SameSite=Strict; Path=\/$/),
  ])
  const session = { cookie: cookie!.split(';')[0]! }
  expect((await ask(port, { path, headers: session })).status).toBe(200)
  const basic = { authorization: `Basic ${Buffer.from(`:${PASSWORD}`).toString('base64')}` }
  expect((await ask(port, { path, headers: basic })).status).toBe(200)
  await ask(port, { method: 'POST', path: '/monitor/logout', headers: session })
  expect((await ask(port, { path, headers: session })).status).toBe(401)

  for (let n = 0; n < 5; n++) expect((await login(port, `wrong-${n}`)).status).toBe(401)
  expect((await login(port, PASSWORD)).status).toBe(429)
  expect((await ask(port, { path, headers: basic })).status).toBe(429)
})

test('whoever has 2^64 addresses has as many guesses as one', async () => {
  const { port } = await start({ monitor: { password: PASSWORD }, trustedProxies: ['127.0.0.1'] })
  const from = (address: string, password: string): Promise<Answer> =>
    login(port, password, { 'X-Forwarded-For': address })
  for (let n = 0; n < 5; n++) expect((await from(`2001:db8::${n}:1`, `wrong-${n}`)).status).toBe(401)
  expect((await from('2001:db8:0:0:9::', PASSWORD)).status).toBe(429)
  expect((await from('::ffff:10.0.0.1', PASSWORD)).status).toBe(204)
  expect((await from('2001:db8:0:1::1', PASSWORD)).status).toBe(204)
})

test('it tells who is connected and to what they subscribe, but no inbox and no secret', async () => {
  const { broker, port } = await start({
    monitor: true,
    getUser: ({ handshake }) => ({
      name: handshake.headers.who ?? 'local',
      apiToken: 'hidden-1',
      deep: [{ password: 'hidden-2' }],
    }),
  })
  const [ann, bob] = [await client(broker, 'ann'), await client(broker, 'bob')]
  await ann.subscribe('orders.*', { queue: 'workers' })
  await bob.subscribe('orders.>')
  for (let n = 0; n < 3; n++) await bob.publish('orders.new', 'x')
  await bob.request('nobody.there', 'x').catch(() => {})

  const { rows, total } = await api<ConnectionPage>(port, 'connections?sort=msgsIn&limit=10')
  expect([total, rows[0]!.user]).toEqual([2, expect.stringContaining('"name":"bob"')])
  const detail = await api<{ connection: ConnectionDetail; events: BrokerEvent[] }>(
    port,
    `connection?id=${rows[1]!.id}`,
  )
  expect(detail.connection.patterns).toContainEqual({ pattern: 'orders.*', queue: 'workers' })
  expect(detail.events.map(({ kind, id }) => [kind, id])).toEqual([['connect', rows[1]!.id]])

  const subjects = await api<SubjectPage>(port, 'subjects?match=orders.new')
  expect(subjects.rows).toEqual([
    { pattern: 'orders.*', subscriptions: 1, queues: ['workers'] },
    { pattern: 'orders.>', subscriptions: 1, queues: [] },
  ])
  const all = await api<SubjectPage>(port, 'subjects')
  expect(all.rows.filter(({ pattern }) => pattern.startsWith('_INBOX'))).toEqual([
    { pattern: '_INBOX', subscriptions: 2, queues: [] },
  ])
  const told = JSON.stringify([rows, detail, subjects, all])
  expect(told).not.toMatch(/hidden-|_INBOX\./)
  expect(await api(port, 'connection?id=nobody')).toEqual({ connection: null, sockets: [], events: [] })
  const { status, body } = await ask(port, { path: '/monitor/api/connections?limit=501' })
  expect([status, JSON.parse(body).code]).toEqual([400, 'ERR_OUT_OF_RANGE'])
})

test('it tells of sockets by subject, with the connection that each comes from', async () => {
  const { broker, port } = await start({ monitor: true })
  const [server, user] = [await client(broker), await client(broker)]
  const listener = server.socket.listen('chat')
  listener.on('connection', socket => socket.on('data', data => socket.write(data)))
  const sockets = [user.socket.connect('chat'), user.socket.connect('chat')]
  await Promise.all(sockets.map(socket => socket.waitUntilReady(10_000)))
  const { rows, total } = await api<SocketPage>(port, 'sockets?subject=chat')
  expect([total, new Set(rows.map(({ id }) => id))]).toEqual([2, new Set(sockets.map(({ id }) => id))])
  expect(rows[0]).toMatchObject({ subject: 'chat', listeners: 1 })
  const detail = await api<{ sockets: unknown[] }>(port, `connection?id=${rows[0]!.connection}`)
  expect(detail.sockets).toHaveLength(2)
  await Promise.all(sockets.map(socket => socket.end()))
  expect((await api<SocketPage>(port, 'sockets')).total).toBe(0)
})

test('it tells what happened: who came, who was refused and why, who left', async () => {
  const { broker, port } = await start({
    monitor: true,
    getUser: ({ handshake }) => {
      if (handshake.headers.who === 'eve') throw Error('no')
      return { name: handshake.headers.who ?? 'local' }
    },
    isAllowed: ({ subject }) => !subject.startsWith('secret'),
  })
  const ann = await client(broker, 'ann')
  const eve = connect({ address: String(broker.address()), noCache: true, extraHeaders: { who: 'eve' } })
  open.push(eve)
  await expect(eve.waitUntilReady()).rejects.toMatchObject({ code: 'ERR_SIGN_IN' })
  await eve.close()
  await expect(ann.publish('secret.a', 1)).rejects.toMatchObject({ code: 403 })
  await expect(ann.subscribe('secret.*')).rejects.toMatchObject({ code: 403 })
  await ann.close()
  const kinds = async () => {
    const { events } = await api<{ events: BrokerEvent[] }>(port, 'events')
    return events.map(({ kind, code, text }) => [kind, code, text])
  }
  let told = await kinds()
  // A connection is gone when the broker has noticed it.
  while (!told.some(([kind]) => kind === 'disconnect')) told = await kinds()
  const user = '{"name":"ann"}'
  expect(told).toEqual(
    expect.arrayContaining([
      ['connect', '', user],
      ['sign_in_failed', 'sign_in', expect.any(String)],
      ['publish_refused', 'permission', 'secret.a'],
      ['subscribe_refused', 'permission', 'secret.*'],
      ['disconnect', 'client', user],
    ]),
  )
  const overview = await api<MonitorOverview>(port, 'overview')
  expect(overview.lastMinute).toMatchObject({ slowConsumers: 0, refusals: expect.any(Number) })
  expect(overview.lastMinute.refusals).toBeGreaterThanOrEqual(3)
})

test('an HTTP server of the application can have it, and keeps its other paths', async () => {
  const httpServer = createServer((request, response) => {
    if (!show(request, response)) response.end('mine')
  })
  const broker = init({ httpServer, monitor: { password: PASSWORD } })
  const show = broker.monitorHandler()
  open.push(broker, { close: () => new Promise<void>(resolve => httpServer.close(() => resolve())) })
  await new Promise<void>(resolve => httpServer.listen(0, '127.0.0.1', resolve))
  await broker.waitUntilReady()
  const { port } = httpServer.address() as AddressInfo
  expect((await ask(port, { path: '/other' })).body).toBe('mine')
  expect((await ask(port, { path: '/monitor' })).body).toContain('<title>selvedge monitor</title>')
  expect((await ask(port, { path: '/monitor/api/overview' })).status).toBe(401)
  const [cookie] = (await login(port, PASSWORD)).headers['set-cookie']!
  const headers = { cookie: cookie!.split(';')[0]! }
  expect((await ask(port, { path: '/monitor/api/overview', headers })).status).toBe(200)
  expect((await login(port, 'x'.repeat(2000))).status).toBe(413)
})
