// Compile-only: a typical program for Conat's sockets, against the contract.
import * as conat from 'selvedge'

async function program(): Promise<void> {
  const server: conat.ConatServer = conat.init({ port: 0, maxSubscriptionsPerClient: 20_000 })
  if (server.state !== 'ready') await new Promise<void>(ready => server.once('ready', ready))
  const client = conat.connect({ address: `http://127.0.0.1:${server.address()?.port}`, noCache: true })
  await client.waitUntilSignedIn({ timeout: 1000 })

  const listener = client.socket.listen('echo', { maxQueueSize: 10 })
  listener.on('connection', socket => {
    socket.on('data', (data, headers) => {
      socket.write(`${data}`, { headers: { ...headers, back: true } })
    })
    socket.on('request', async message => {
      await message.respond({ asked: message.data })
      message.respondSync(null)
    })
  })
  await listener.waitUntilReady(5000)

  await using socket = client.socket.connect('echo', { loadBalancer: async subject => subject })
  socket.on('closed', reason => reason?.code === 'ERR_SOCKET_LOST' && reason.undelivered)
  const hasRoom: boolean = socket.write('hello', { my: 'header' })
  if (!hasRoom) await socket.drain()
  for await (const [data, headers] of socket.iter()) if (data === headers.end) break
  const answer: conat.Message = await socket.request('question', { timeout: 500 })
  const perhaps: conat.Message | undefined = await client.request('a.b', answer.data, { noThrow: true })

  // As Conat's programs read what they were sent, and as they may say what it is.
  const { rows, next }: { rows: string[]; next?: number } = answer.data
  const total: number = answer.data.total + rows.length + (next ?? 0)
  const order = answer as conat.Message<{ id: string; items: string[] }>
  const items: string[] = order.data.items
  // @ts-expect-error an order has no such field
  order.data.price

  listener.write(total, { items })
  const all: (conat.Message | Error)[] = await listener.request('who?')
  const first: conat.Message = await listener.request('who?', { race: true })

  const subscription = await client.subscribe('news.>', { queue: '0' })
  subscription.emitter.on('message', (message: conat.Message) => message.subject)
  for await (const message of subscription) if (message.isRequest()) break
  for await (const reply of client.requestMany('a.b', null, { maxWait: 100 })) reply.data
  for await (const reply of await client.requestMany('a.b', null, { maxMessages: 2 })) reply.data

  try {
    await client.publish('a.b', [perhaps, all.length, first.length])
  } catch (error) {
    if (error instanceof conat.ConatError && error.code === 408) await client.close()
  }
  const { bytes, count } = await client.pub('a.b', conat.messageData(1))
  const data = conat.decode({
    data: conat.encode({ encoding: conat.DataEncoding.MsgPack, mesg: bytes + count }),
  })
  await server.close()
  return data as undefined
}

program satisfies () => Promise<void>

async function dropIn(client: conat.Client): Promise<void> {
  const server = new conat.ConatServer({ port: 3000, localClusterSize: 2, cors: { origin: '*' } })
  const own = conat.connect({ address: server.address() ?? '', transports: ['websocket'], forceNew: true })
  const port: number | undefined = server.address()?.port
  const url: string = `${server.address()}`
  client.conn.on('connect', () => {})
  const patterns = await client.conn.timeout(port ?? 1000).emitWithAck('subscriptions', null)
  const replies = await client.requestMany(url, patterns)
  replies.close()
  client.on('closed', reason => reason?.code)
  const error = new conat.ConatError('no', { code: 403 })
  const routed = conat.connect({ routeSubject: subject => (subject === 'a' ? { client: own } : undefined) })
  for await (const message of await routed.subscribe('a.b', { timeout: 5000 })) {
    message.respondSync(client.stats.recv0.bytes + client.stats.subs, { headers: [error.code] })
  }
  const service = conat.createConatService({ service: 'a', handler: mesg => mesg, client })
  service.on('running', () => {})
  const users = conat.createServiceClient<Users>({ service: 'users' })
  const name: string = await users.name('a')
  await conat.callConatService({ service: 'a', mesg: name, timeout: conat.DEFAULT_REQUEST_TIMEOUT })
  // @ts-expect-error no such option
  conat.connect({ transport: [] })
}

interface Users {
  name(id: string): string
  groups(id: string, options?: { deep: boolean }): Promise<string[]>
  version: number
}

async function services(client: conat.Client): Promise<void> {
  const service: conat.Subscription = await client.service(
    'users.*',
    {
      name(this: conat.Message, id: string) {
        return `${this.subject} ${id}`
      },
      groups: async () => ['all'],
    },
    { queue: 'q' },
  )
  const users = client.call<Users>('users.a', { timeout: 100, headers: { as: 'me' } })
  const name: string = await users.name('1')
  const groups: string[] = await users.groups('1', { deep: true })
  // @ts-expect-error it wants an id
  await users.name()
  // @ts-expect-error it has no such method
  await users.other('1')
  // @ts-expect-error no method
  users.version()
  const untyped = client.call('users.a')
  const anything: number = await untyped.whatever(1, 2)
  for await (const one of client.callMany<Users>('users.a', { maxWait: 100 }).name('1')) {
    if (one instanceof conat.ConatError) one.code
    else one.charAt(0)
  }
  const watch: conat.Subscription = client.watch('>', message => message.data)
  const addresses: string[] = await client.cluster()
  await client.syncSubscriptions({ timeout: 1000 })
  const system = conat.sysApi(client, { id: '0' })
  await system.disconnect(['a', 'b'])
  const connections: number | undefined = (await system.usage())['0']?.total
  const sent: number | undefined = (await system.stats())['0']?.['connection']?.send.bytes
  for await (const usage of conat.sysApiMany(client, { maxWait: 100 }).usage()) console.log(usage)
  const patterns = new conat.Patterns<{ weight: number }>().set('a.*', { weight: 1 })
  const weight: number | undefined = patterns.get('a.*')?.weight
  const matching: string[] = patterns.matches('a.b')
  const views: [number, string] = [client.subs['a.*']!.refCount, client.queueGroups['a.*']!]
  for (const one of [service, watch]) one.close()
  conat.setDefaultTimeouts({ request: anything, publish: weight ?? connections ?? sent ?? matching.length })
  conat.setDefaultSocketTimeouts({ command: groups.length, keepAlive: name.length })
  conat.connect({ address: addresses[0]!, systemAccountPassword: views[1], extraHeaders: { Cookie: 'a=1' } })
}

services satisfies (client: conat.Client) => Promise<void>
dropIn satisfies (client: conat.Client) => Promise<void>

interface User {
  name: string
  hub_id?: string
}

async function brokers(key: Buffer, cert: string, http: import('node:http').Server): Promise<void> {
  const server = conat.init({
    httpServer: http,
    path: '/conat',
    clusterName: 'mine',
    systemAccountPassword: 'secret',
    getUser: async (visitor, systemAccounts): Promise<User> => {
      const cookie: string | undefined = visitor.handshake.headers.cookie
      if (cookie === systemAccounts?.sys?.password) return { name: 'sys', hub_id: 'system' }
      return { name: `${visitor.handshake.address} ${visitor.id}` }
    },
    isAllowed: async ({ type, user, subject }: { type: 'pub' | 'sub'; user: User; subject: string }) =>
      type === 'sub' || subject.startsWith(user.name),
  })
  server.on('callbackFailed', (error, callback: 'getUser' | 'isAllowed') => console.log(error, callback))
  const secure = conat.init({ port: 0, ssl: { key, cert, requestCert: true, ca: [cert] } })
  secure.setSecureContext({ key, cert })
  const guest: conat.Client = conat.connect({
    address: 'https://localhost:1',
    ca: cert,
    rejectUnauthorized: false,
  })
  const inside: conat.Client = secure.client({ inboxPrefix: '_INBOX.me' })
  const usage: { total: number; perUser: Record<string, number> } = server.getUsage()
  const patterns: string[] = Object.keys(server.interest.serialize().patterns)
  const matching: string[] = server.interest.matches(patterns[0]!)
  const isThere: boolean = server.interest.hasMatch('a') || (await server.waitForInterest('a', usage.total))
  for (const [id, { subscriptions }] of Object.entries(server.sockets)) console.log(id, subscriptions.length)
  const connection: string | undefined = inside.conn.id
  if (connection && isThere) server.disconnect([connection, ...matching])
  await Promise.all([guest.drain({ deadline: 100 }), secure.drain({ spread: 0 }), server.close()])
  // @ts-expect-error it is called with a question, not with a user
  conat.init({ isAllowed: (user: User) => user.name === 'me' })
  // @ts-expect-error a port is a number
  conat.init({ port: '3000' })
}

brokers satisfies (key: Buffer, cert: string, http: import('node:http').Server) => Promise<void>

// @ts-expect-error an unknown option
conat.connect({ adress: 'http://127.0.0.1' })
// @ts-expect-error sockets are made by a client
new conat.ConatSocketClient()
