// A broker whose users are in a file: signing in, permissions, private inboxes, mistakes in the file.
import { createHash, scryptSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ConatServer, type ConnectOptions, connect, init, sysApi } from 'selvedge'
import { type UsersFile, usersFile } from 'selvedge/users'

jest.setTimeout(60_000)

const salt = Buffer.from('sixteen bytes ok')
const password = (text: string): string =>
  `scrypt$1024$8$1$${salt.toString('base64url')}$${scryptSync(text, salt, 32, { N: 1024, r: 8, p: 1 }).toString('base64url')}`
const token = (text: string): string => `sha256$${createHash('sha256').update(text).digest('base64url')}`

const USERS = {
  users: {
    ann: { password: password('secret'), roles: ['staff'], sub: ['mail.{user}.>'] },
    worker: { token: token('t0ken'), sub: ['jobs.new.*'], pub: ['jobs.done.>'], reply: ['jobs.check'] },
    chat: { token: token('chat'), listen: ['chat.*'] },
    eve: { password: password('eve'), connect: ['chat.*'] },
    nobody: { anonymous: true, connect: ['chat.*'] },
  },
  roles: {
    staff: { pub: ['>'], sub: ['>'], connect: ['>'], deny: { pub: ['admin.>'], sub: ['admin.>'] } },
  },
}

let folder: string
let path: string
let users: UsersFile
let server: ConatServer
const clients: Client[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  path = join(folder, 'users.jsonc')
})

afterAll(() => rmSync(folder, { recursive: true }))

beforeEach(async () => {
  writeFileSync(path, JSON.stringify(USERS))
  users = await usersFile(path)
  server = init({ port: 0, systemAccountPassword: 'for-the-system', ...users })
  await server.waitUntilReady()
})

afterEach(async () => {
  await Promise.all(clients.splice(0).map(client => client.close()))
  await server.close()
})

function open(options: ConnectOptions = {}): Client {
  const client = connect({ address: String(server.address()), noCache: true, ...options })
  clients.push(client)
  return client
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'ok',
    error => error.code,
  )

test('people sign in by password, programs by token, and others are whoever is anonymous', async () => {
  const ann = open({ user: 'ann', password: 'secret' })
  const worker = open({ token: 't0ken' })
  const other = open()
  await Promise.all([ann, worker, other].map(client => client.waitUntilReady()))
  expect(ann.info?.user).toEqual({ name: 'ann', roles: ['staff'] })
  expect(worker.info?.user).toEqual({ name: 'worker', roles: [] })
  expect(other.info?.user).toEqual({ name: 'nobody', roles: [] })
  expect(JSON.stringify([ann.options, worker.options])).not.toMatch(/secret|t0ken/)
})

test.each<[string, ConnectOptions]>([
  ['a wrong password', { user: 'ann', password: 'Secret' }],
  ['somebody unknown', { user: 'eve', password: 'secret' }],
  ['a user without a password', { user: 'worker', password: '' }],
  ['a wrong token', { token: 'token' }],
  ['a token in place of a password', { user: 'worker', password: 't0ken' }],
  ['nonsense', { extraHeaders: { Authorization: 'Digest x' } }],
])('%s is refused, with one text for all', async (_, options) => {
  const client = open({ ...options, reconnection: false })
  const reason = await client.waitUntilSignedIn().catch(error => error)
  expect(reason.message).toMatch(/wrong name, password or token/)
})

test('an address that fails too often is not listened to for a while', async () => {
  const attempt = async (secret: string): Promise<string> => {
    const client = open({ user: 'ann', password: secret, reconnection: false })
    return client.waitUntilSignedIn().then(
      () => 'in',
      error => error.message as string,
    )
  }
  for (let failures = 0; failures < 10; failures += 1) expect(await attempt('no')).toMatch(/wrong name/)
  expect(await attempt('secret')).toMatch(/too many failed sign-ins/)
})

test('nothing is allowed that is not written', async () => {
  const ann = open({ user: 'ann', password: 'secret' })
  const worker = open({ token: 't0ken' })
  expect(await codeOf(ann.publish('anything', 1))).toBe('ok')
  expect(await codeOf(ann.publish('admin.reset', 1))).toBe(403)
  expect(await codeOf(ann.subscribe('mail.ann.new'))).toBe('ok')
  expect(await codeOf(worker.subscribe('jobs.new.*'))).toBe('ok')
  expect(await codeOf(worker.subscribe('jobs.>'))).toBe(403)
  expect(await codeOf(worker.publish('jobs.done.1', 1))).toBe('ok')
  expect(await codeOf(worker.publish('jobs.new.1', 1))).toBe(403)
})

test('a wide permission reads no answers of others', async () => {
  const ann = open({ user: 'ann', password: 'secret' })
  for (const pattern of ['>', '*', '*.>', '_INBOX.>', '_INBOX.*.*', '*.*.*']) {
    expect({ pattern, code: await codeOf(ann.subscribe(pattern)) }).toEqual({ pattern, code: 403 })
  }
  const worker = open({ token: 't0ken' })
  const checks = await worker.subscribe('jobs.check')
  void (async () => {
    for await (const request of checks) request.respondSync('private')
  })()
  expect((await ann.request('jobs.check', null)).data).toBe('private')
})

test('an inbox with the name of a user is read by nobody else, however well it is known', async () => {
  const ann = open({ user: 'ann', password: 'secret', inboxPrefix: '_INBOX_ann' })
  const { subject: pattern } = await ann.getInbox()
  expect(pattern).toMatch(/^_INBOX_ann\.\w+\.\*$/)
  for (const other of [open(), open({ token: 't0ken' })]) {
    expect(await codeOf(other.subscribe(pattern))).toBe(403)
  }
  const worker = open({ token: 't0ken' })
  const checks = await worker.subscribe('jobs.check')
  checks.emitter.on('message', request => request.respondSync('private'))
  expect((await ann.request('jobs.check', null)).data).toBe('private')
})

test('who listens and who connects need no more than that', async () => {
  const listener = open({ token: 'chat' }).socket.listen('chat.lobby')
  listener.on('connection', socket => socket.on('data', data => socket.write(`echo ${data}`)))
  await listener.waitUntilReady()
  const visitor = open()
  const socket = visitor.socket.connect('chat.lobby')
  socket.write('hello')
  const echoed = await new Promise(resolve => socket.once('data', resolve))
  expect(echoed).toBe('echo hello')
  expect(await codeOf(visitor.subscribe('chat.lobby.client.*'))).toBe(403)
  expect(await codeOf(visitor.publish('chat.lobby.client.x', 1))).toBe(403)
})

test('the file is read again as a whole, or not at all', async () => {
  const worker = open({ token: 't0ken' })
  await worker.waitUntilReady()
  writeFileSync(path, '{ "users": {')
  await expect(users.reload()).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  expect(await codeOf(worker.publish('jobs.done.1', 1))).toBe('ok')
  const { worker: _, ...others } = USERS.users
  writeFileSync(path, JSON.stringify({ ...USERS, users: others }))
  await users.reload()
  server.revalidate()
  expect(await codeOf(worker.publish('jobs.done.2', 1))).toBe(403)
})

test.each<[string, object | string, RegExp]>([
  [
    'an unknown role',
    { users: { ann: { roles: ['admin'] } } },
    /users\.ann\.roles\[0\]: there is no role 'admin'/,
  ],
  ['a plain password', { users: { ann: { password: 'secret' } } }, /users\.ann\.password must be a hash/],
  [
    'a hash of another kind',
    { users: { ann: { password: '$2b$10$abc' } } },
    /users\.ann\.password must be a hash/,
  ],
  ['a plain token', { users: { ann: { token: 'secret' } } }, /users\.ann\.token must be a hash/],
  [
    'a hash that takes all memory',
    { users: { a: { password: `scrypt$1073741824$8$1$${'a'.repeat(22)}$${'a'.repeat(43)}` } } },
    /must be a hash/,
  ],
  ['no pattern', { users: { ann: { pub: ['a..b'] } } }, /users\.ann\.pub\[0\]: 'a\.\.b' is no pattern/],
  ['a name with a dot for {user}', { users: { 'a.b': { sub: ['{user}.>'] } } }, /is no single token/],
  [
    'two that are anonymous',
    { users: { a: { anonymous: true }, b: { anonymous: true } } },
    /two users are anonymous: a and b/,
  ],
  [
    'one token of two',
    { users: { a: { token: token('x') }, b: { token: token('x') } } },
    /users\.b\.token is that of a, too/,
  ],
  ['an unknown key', { users: { a: { role: [] } } }, /unknown key 'users\.a\.role'; did you mean 'roles'\?/],
  ['an unknown section', { user: {} }, /unknown key 'user'; did you mean 'users'\?/],
  ['a text for a list', { users: { a: { pub: '>' } } }, /users\.a\.pub must be a list of texts/],
  ['no JSON', '{ "users": ', /users\.jsonc:1:\d+: not JSON/],
])('%s is refused, with its place', async (_, content, text) => {
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  await expect(usersFile(path)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
    message: expect.stringMatching(text),
  })
})

describe("the clients' ends of sockets", () => {
  async function heard(client: Client, id: string): Promise<unknown> {
    return codeOf(client.subscribe(`chat.eu.client.${id}`))
  }

  test.each<[string, ConnectOptions, RegExp]>([
    ['by name', { user: 'eve', password: 'eve' }, /^eve~/],
    ['by whoever had it first', {}, /^[^~]+$/],
  ])("are their users' own, %s", async (_, owner, form) => {
    const listener = open({ token: 'chat' }).socket.listen('chat.eu')
    await listener.waitUntilReady()
    const socket = open(owner).socket.connect('chat.eu')
    await socket.waitUntilReady()
    expect(socket.id).toMatch(form)
    const others = [open({ user: 'eve', password: 'eve' }), open()].filter(
      (_, index) => (index === 0) !== (owner.user === 'eve'),
    )
    for (const other of others) {
      expect(await heard(other, socket.id)).toBe(403)
      const forged = other.publish(`chat.eu.server.${listener.id}.${socket.id}`, 'forged')
      expect(await codeOf(forged)).toBe(403)
    }
    expect(await heard(open(), 'ann~x')).toBe(403)
    expect(await heard(open({ user: 'eve', password: 'eve' }), 'ann~x')).toBe(403)
  })
})

test('guesses that come together are counted as those that come one by one', async () => {
  const guesses = Array.from({ length: 60 }, () =>
    open({ user: 'ann', password: 'wrong', reconnection: false }),
  )
  const ends = await Promise.all(
    guesses.map(guess => guess.waitUntilReady().catch(error => error.cause?.code)),
  )
  expect(ends.filter(code => code === 401).length).toBeLessThanOrEqual(10 + 4)
  expect(ends.filter(code => code === 429).length).toBeGreaterThanOrEqual(60 - 10 - 4)
})

test('the system account looks into a broker that has its users in a file', async () => {
  const system = open({ systemAccountPassword: 'for-the-system' })
  await system.waitUntilReady()
  expect((await sysApi(system).overview()).id).toBe(server.id)
  expect(await codeOf(system.publish('jobs.done.x', 1))).toBe(403)
  const wrong = open({ systemAccountPassword: 'not-for-the-system', reconnection: false })
  await expect(wrong.waitUntilReady()).rejects.toMatchObject({ code: 'ERR_SIGN_IN' })
  // A user of the file is none.
  const ann = open({ user: 'ann', password: 'secret' })
  expect(await codeOf(ann.request('sys.conat.default', ['overview', []]))).toBe(403)
})
