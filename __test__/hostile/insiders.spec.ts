// Rows 9, 10, 23, 38, 39, 40 and 44 of the bad inputs: strangers who guess, and users who want more than they may, at a broker that
// signs in and asks for permission, while one of its users is watched.
import { once } from 'node:events'
import tls from 'node:tls'
import { type Client, type ConatServer, connect, init, type Visitor } from 'selvedge'
import { CA, material } from '../support/certificates'
import { until } from '../support/events'
import { rejection } from '../support/messages'
import { disconnection } from '../support/sockets'
import { STALL_MS, stopwatch } from '../support/stall'
import { head, opened, ownFrame, publish, Raw, text } from './attacker'

const PASSWORD = 'correct-horse-7'
const NIL = Buffer.from([0xc0])

let broker: ConatServer
let port: number
let banned: Set<string>
let addresses: string[]
let raws: Raw[]
let clients: Client[]

/** The system by its password; others by a name that this test believes. */
function getUser({ handshake }: Visitor, accounts: any): unknown {
  addresses.push(handshake.address)
  if (handshake.headers.cookie === `sys=${accounts.sys.password}`) return accounts.sys.user
  if (handshake.headers.cookie !== undefined) throw Object.assign(Error('wrong password'), { code: 401 })
  const name = handshake.headers['x-user']
  if (name === undefined || banned.has(name)) throw Object.assign(Error('who are you?'), { code: 401 })
  return { name }
}

/** `root` may do all that the broker lets him; others what begins with their names, and answer to inboxes. */
function isAllowed({ type, user, subject }: { type: string; user: any; subject: string }): boolean {
  if (user.hub_id === 'system' || user.name === 'root') return true
  // A banned one keeps his inbox: without it his client is not ready, and says nothing that could be refused.
  if (banned.has(user.name)) return subject.startsWith(`_INBOX_${user.name}.`)
  const own = [`user.${user.name}.`, `_INBOX_${user.name}.`]
  return own.some(prefix => subject.startsWith(prefix)) || (type === 'pub' && subject.startsWith('_INBOX'))
}

async function enter(name: string): Promise<Raw> {
  const raw = await opened(port, { 'X-User': name })
  raws.push(raw.say(text('40')))
  expect(await raw.hears('["info"')).toBe(true)
  return raw
}

function join(name: string): Client {
  const client = connect({
    address: `http://127.0.0.1:${port}`,
    noCache: true,
    extraHeaders: { 'X-User': name },
    inboxPrefix: `_INBOX_${name}`,
    reconnectionDelay: 5,
  })
  clients.push(client)
  return client
}

beforeEach(async () => {
  banned = new Set()
  addresses = []
  raws = []
  clients = []
  broker = init({ port: 0, host: '127.0.0.1', systemAccountPassword: PASSWORD, getUser, isAllowed })
  await broker.waitUntilReady()
  port = broker.address()!.port
})

afterEach(async () => {
  for (const raw of raws) raw.end()
  // Whatever was tried, the broker answers its users.
  const neighbour = join('neighbour')
  const echo = await neighbour.subscribe('user.neighbour.echo')
  echo.emitter.on('message', message => message.respondSync(message.data))
  const waited = stopwatch()
  expect((await neighbour.request('user.neighbour.echo', 'still here')).data).toBe('still here')
  expect(waited()).toBeLessThan(STALL_MS)
  for (const client of clients) await client.close()
  await broker.close()
})

test('row 9: nobody guesses the password of the system, however like it the guesses are', async () => {
  const near = Array.from(PASSWORD, (_, i) => `${PASSWORD.slice(0, i)}${PASSWORD.slice(i + 1)}`)
  const guesses = ['', 'x', `${PASSWORD} `, `${PASSWORD}x`, PASSWORD.toUpperCase(), '__proto__', ...near]
  const all = Array.from({ length: 200 }, (_, i) => guesses[i % guesses.length]!)
  const outcomes = await Promise.all(
    all.map(async guess => {
      const raw = await opened(port, { Cookie: `sys=${guess.trim()}x` })
      raws.push(raw.say(text('40')))
      return [await raw.isCutOff(), String(raw.heard).includes('hub_id')]
    }),
  )
  expect(outcomes.every(([isGone, isIn]) => isGone && !isIn)).toBe(true)
  expect(broker.totals).toMatchObject({ connections: 0, connectionsRefused: 200 })
})

test('row 9: the session of another is nothing to come in with', async () => {
  const ann = await enter('ann')
  const sid = /"sid":"([^"]+)"/.exec(String(ann.heard))![1]!
  const request = `GET /conat/?EIO=4&transport=websocket&sid=${sid} HTTP/1.1`
  const thief = new Raw(port).say(head(port, { 'X-User': undefined }, request), text('40'))
  raws.push(thief)
  expect(await thief.isCutOff()).toBe(true)
  expect(String(thief.heard)).not.toContain('"ann"')
  expect(Object.keys(broker.sockets)).toHaveLength(1)
})

describe('row 10: at the TLS port', () => {
  let secure: ConatServer
  const connectTls = async (options: tls.ConnectionOptions): Promise<tls.TLSSocket> => {
    const socket = tls.connect({ port: secure.address()!.port, host: 'localhost', ca: CA, ...options })
    await once(socket, 'secureConnect')
    return socket
  }

  beforeEach(async () => {
    const ssl = { ...material('server'), ca: CA, requestCert: true, rejectUnauthorized: false }
    secure = init({ port: 0, host: '127.0.0.1', ssl, handshakeTimeout: 1000 })
    await secure.waitUntilReady()
  })

  afterEach(() => secure.close())

  test('plain text is told so, and what is no language is cut off', async () => {
    const plain = new Raw(secure.address()!.port).say(head(port))
    expect(await plain.hears('HTTP/1.1 426 ')).toBe(true)
    const half = Buffer.from([0x16, 3, 1, 0xff, 0xff, 1, 0, 0xff, 0xff, 3, 3])
    const rude = [Buffer.from('\0\0'), Buffer.concat([half, Buffer.alloc(70_000, 0xff)])]
    for (const junk of rude) expect(await new Raw(secure.address()!.port).say(junk).isCutOff()).toBe(true)
  })

  test.each(['TLSv1', 'TLSv1.1'] as const)('%s is refused', async version => {
    const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }
    await expect(connectTls(old)).rejects.toThrow(/version|alert|disconnected|reset/i)
    ;(await connectTls({ maxVersion: 'TLSv1.2' })).destroy()
  })

  test('nothing is negotiated a second time', async () => {
    const socket = await connectTls({ maxVersion: 'TLSv1.2' })
    const refused = new Promise<unknown>(resolve => {
      socket.on('error', resolve)
      socket.once('close', resolve)
      socket.renegotiate({}, error => resolve(error ?? 'renegotiated'))
    })
    expect(await refused).not.toBe('renegotiated')
    socket.destroy()
  })

  test('a certificate that is expired, or has its own signature, makes nobody of anybody', async () => {
    const socket = tls.connect({
      port: secure.address()!.port,
      host: 'localhost',
      ca: CA,
      ...material('expired'),
    })
    socket.on('error', () => {})
    socket.on('secureConnect', () => socket.write(head(port)))
    await new Promise(resolve => socket.once('close', resolve))
    expect(secure.totals).toMatchObject({ connections: 0 })
  })
})

test('row 23: headers that claim an address, an identity or a prototype are data', async () => {
  const claims = { 'X-Forwarded-For': '10.0.0.1', 'X-Real-IP': '10.0.0.1', Forwarded: 'for=10.0.0.1' }
  const raw = await opened(port, { ...claims, __proto__: 'x', 'X-User': 'ann', 'X-User-': 'root' })
  raws.push(raw.say(text('40')))
  expect(await raw.hears('"name":"ann"')).toBe(true)
  expect(addresses).toEqual(['127.0.0.1'])
  // The same name twice is one value that is neither.
  const twice = new Raw(port).say(head(port, { 'X-User': 'ann\r\nX-User: root' }), text('40'))
  raws.push(twice)
  expect(await twice.hears('"name":"ann, root"')).toBe(true)
})

test('rows 38 and 39: what lies beyond one’s own names is 403, in both languages, with and without a queue', async () => {
  const wanted = [
    '>',
    '*',
    '_INBOX.>',
    '_INBOX_bob.>',
    '_INBOX_*.>',
    'user.>',
    'user.*.x',
    'user.bob.>',
    '*.ann.>',
  ]
  const theirs = await enter('ann')
  const ours = new Raw(port)
  raws.push(ours)
  ours.say(
    head(port, { Upgrade: 'selvedge/1', Connection: 'Upgrade', 'X-User': 'ann' }, 'GET /conat/ HTTP/1.1'),
  )
  expect(await ours.hears('"info"')).toBe(true)
  for (const [i, pattern] of wanted.entries()) {
    for (const queue of ['0', 'q', null]) {
      const ack = 100 + i * 3 + ['0', 'q', null].indexOf(queue)
      const subscription = { subject: pattern, ...(queue === null ? {} : { queue }) }
      theirs.say(text(`42${ack}["subscribe",${JSON.stringify(subscription)}]`))
      const message = `permission denied subscribing to '${pattern}'`
      if (queue !== null)
        expect([pattern, await theirs.hears(`43${ack}[{"error":"${message}`)]).toEqual([pattern, true])
      const ask = { op: 'subscribe', ack, subscriptions: [[pattern, queue]], list: false }
      ours.say(ownFrame(6, JSON.stringify(ask)))
      expect([pattern, await ours.hears(`"ack":${ack},`)]).toEqual([pattern, true])
    }
  }
  const bob = join('bob')
  await bob.publish('user.bob.x', 'for bob')
  expect(broker.interest.matches('user.bob.x')).toEqual([])
  expect(String(ours.heard)).not.toContain('"added"')
  expect(
    Object.values(broker.sockets)
      .flatMap(({ subscriptions }) => subscriptions)
      .filter(one => !one.startsWith('_INBOX_bob.')),
  ).toEqual([])
})

test('row 38: not even who may subscribe to everything hears what is said to the system', async () => {
  const root = await enter('root')
  for (const [i, pattern] of ['>', '*.conat.>', 'sys.conat.>', 'sys.*.*', 'sys.>'].entries()) {
    root.say(text(`421${i}["subscribe",${JSON.stringify({ subject: pattern, queue: 'q' })}]`))
    expect(await root.hears(`431${i}[`)).toBe(true)
  }
  root.say(publish('sys.conat.default', Buffer.from([0x91, 0xa5, ...Buffer.from('stats')]), '', '50'))
  expect(await root.hears("permission denied publishing to 'sys.conat.default'")).toBe(true)
  const system = connect({
    address: `http://127.0.0.1:${port}`,
    noCache: true,
    systemAccountPassword: PASSWORD,
  })
  clients.push(system)
  const { data } = await system.request('sys.conat.default', ['disconnect', ['secret-id']])
  expect(data).toBe(null)
  // A marker that it does hear, behind what it must not.
  await system.publish('news.marker', 'marker')
  expect(await root.hears('news.marker')).toBe(true)
  expect(String(root.heard)).not.toContain('secret-id')
})

test('row 40: an answer to a reply subject of somebody else’s needs the permission of who answers', async () => {
  const [bob, cat] = [join('bob'), join('cat')]
  const heard: unknown[] = []
  const inCat = await cat.subscribe('user.cat.>')
  inCat.emitter.on('message', message => heard.push(message.data))
  const questions = await bob.subscribe('user.bob.ask')
  const denied = once(bob, 'permission')
  questions.emitter.on('message', message => message.respondSync('reflected'))
  const root = await enter('root')
  root.say(publish('user.bob.ask', NIL, '{"CN-Reply":"user.cat.private"}', '7'))
  expect(await root.hears('437[{"count":1}]')).toBe(true)
  expect((await denied)[0]).toMatchObject({ subject: 'user.cat.private', type: 'pub' })
  await cat.publish('user.cat.own', 'own')
  await until(() => heard.length > 0)
  expect(heard).toEqual(['own'])
})

test('row 44: who is banned hears and says nothing more within a second, and who is thrown out does not come back', async () => {
  const [eve, root] = [join('eve'), join('root')]
  const heard: unknown[] = []
  const mail = await eve.subscribe('user.eve.mail')
  mail.emitter.on('message', message => heard.push(message.data))
  await root.publish('user.eve.mail', 'before')
  const told = once(eve, 'permission')
  banned.add('eve')
  const waited = stopwatch()
  broker.revalidate()
  await told
  expect(await rejection(eve.publish('user.eve.x', 1))).toMatchObject({ code: 403 })
  expect((await root.publish('user.eve.mail', 'after')).count).toBe(0)
  expect(waited()).toBeLessThan(STALL_MS)
  expect(heard).toEqual(['before'])
  const ids = Object.values(broker.sockets)
    .filter(({ user }) => user.name === 'eve')
    .map(({ id }) => id)
  const gone = disconnection(eve)
  expect(broker.disconnect(ids)).toBe(1)
  await gone
  expect((await rejection(eve.waitUntilSignedIn({ timeout: 5000 }))).message).toMatch(/who are you/)
  // Eve comes again and again, and nobody knows yet who that is.
  const users = Object.values(broker.sockets).flatMap(({ user }) => user ?? [])
  expect(users.map(({ name }) => name)).toEqual(['root'])
})
