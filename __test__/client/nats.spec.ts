// A client of NATS: which servers take it, and what it says of those that do not.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ConnectOptions, connect, type FabricError, init } from 'selvedge'
import { CA, materialFiles } from '../support/certificates'
import { read, rejection } from '../support/messages'
import { describeNats, isNatsAtLeast, movedOf, NatsServer, startNatsCluster } from '../support/nats'
import { take } from '../support/sockets'

const QUICK: ConnectOptions = { noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 }
const clients: Client[] = []
const peers: Server[] = []

afterEach(async () => {
  await Promise.all(clients.splice(0).map(client => client.close()))
  for (const peer of peers.splice(0)) await new Promise(resolve => peer.close(resolve))
})

function client(address: string, options: ConnectOptions = {}): Client {
  const made = connect({ ...QUICK, address, ...options })
  clients.push(made)
  return made
}

/** A server that does `talk` with each connection. Returns its address. */
async function peer(talk: (socket: Socket) => void): Promise<string> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    talk(socket)
  })
  peers.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `nats://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Why the first attempt to connect fails. */
async function failure(made: Client): Promise<FabricError> {
  const [error] = (await once(made, 'connectFailed')) as [FabricError]
  return error
}

describe('what is no server of nats that can be used', () => {
  test('nobody listens', async () => {
    const address = await peer(() => {})
    await new Promise(resolve => peers.pop()!.close(resolve))
    expect(await failure(client(address))).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('it speaks HTTP, and waits for a request', async () => {
    const { createServer: createHttpServer } = await import('node:http')
    const server = createHttpServer()
    peers.push(server)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const error = await failure(client(`nats://127.0.0.1:${(server.address() as AddressInfo).port}`))
    expect(error).toMatchObject({
      code: 'ERR_CONNECT',
      message: expect.stringContaining('no server of nats'),
    })
  })

  test('it greets with something else', async () => {
    const address = await peer(socket => socket.write('220 mail.example ESMTP\r\n'))
    expect(await failure(client(address))).toMatchObject({ code: 'ERR_CONNECT' })
  })

  test('it closes at once', async () => {
    const address = await peer(socket => socket.destroy())
    expect(['ERR_CONNECT', 'ECONNRESET']).toContain((await failure(client(address))).code)
  })

  test('several say nothing: all are tried, and that is told in the time of one', async () => {
    const asked = new Set<number>()
    const addresses = await Promise.all([1, 2, 3].map(n => peer(socket => asked.add(n) && socket.resume())))
    expect(await failure(client(addresses.join(',')))).toMatchObject({ code: 'ETIMEDOUT' })
    expect(asked.size).toBe(3)
  }, 20_000)

  test.each([
    ['it is too old', '{"version":"2.8.4","headers":true,"max_payload":1048576}'],
    ['it has no headers', '{"version":"2.15.1","max_payload":1048576}'],
  ])('%s', async (_, info) => {
    const address = await peer(socket => socket.write(`INFO ${info}\r\n`))
    const error = await failure(client(address))
    expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED', message: expect.stringContaining('2.9 or newer') })
  })

  test.each([
    ['an endless line', 'x'.repeat(20_000)],
    ['an endless introduction', `INFO ${' '.repeat(1_100_000)}`],
    ['no JSON', 'INFO {"max_payload":\r\n'],
    ['a message before the sign-in', 'MSG a 1 2\r\nhi\r\n'],
  ])('it sends %s', async (_, text) => {
    const address = await peer(socket => socket.write(text))
    expect(await failure(client(address))).toMatchObject({ code: 'ERR_CONNECT' })
  })

  test.each([
    ['nats://', 'host'],
    ['nats://h:x', 'port'],
    ['nats://a,', 'host'],
    ['tls://u:secret@h:70000', 'port'],
  ])('an address that is none: %s', async (address, what) => {
    expect(() => client(address)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining(what) }),
    )
    expect(() => client(address)).not.toThrow('secret')
  })

  test('a key or credentials that are none, whose text is not repeated', async () => {
    const code = 'ERR_INVALID_ARG_VALUE'
    for (const options of [{ nkey: 'SUSECRET' }, { credentials: '-----BEGIN NATS USER JWT-----\nSECRET' }]) {
      expect(() => client('nats://h', options)).toThrow(expect.objectContaining({ code }))
      expect(() => client('nats://h', options)).not.toThrow('SECRET')
    }
  })
})

describeNats('signing in to NATS', () => {
  const SEED = 'SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY'
  const PUBLIC = 'UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4'
  const server = new NatsServer(`authorization { users: [
    { user: ann, password: "s@cret", permissions: {
        publish: ["app.>", "_INBOX_ann.>"], subscribe: ["app.>", "_INBOX_ann.>"] } }
    { user: bob, password: "s@cret" }
    { nkey: ${PUBLIC} }
  ] }`)
  beforeAll(() => server.start())
  afterAll(() => server.close())
  const withUser = (user: string) => server.address.replace('//', `//${user}@`)

  test('by a user and a password, in the address or beside it', async () => {
    const inAddress = client(withUser('bob:s%40cret'))
    const beside = client(server.address, { user: 'bob', password: 's@cret' })
    await Promise.all([inAddress.waitUntilReady(), beside.waitUntilReady()])
    const { address, ...shown } = inAddress.options
    expect(address).toBe(server.address)
    expect(JSON.stringify([shown, beside.options])).not.toContain('cret')
  })

  test('by the signature of a key', async () => {
    await client(server.address, { nkey: SEED }).waitUntilReady()
  })

  test('a wrong password ends what waits, with the reason, and is tried again', async () => {
    const made = client(withUser('bob:wrong'))
    const refused = once(made, 'signInRefused')
    const error = await rejection(made.waitUntilReady())
    expect(error).toMatchObject({
      code: 'ERR_SIGN_IN',
      message: expect.stringContaining('Authorization Violation'),
    })
    expect(`${error.stack}${error.cause}`).not.toContain('wrong')
    await refused
    await once(made, 'signInRefused')
  })

  test('nobody without a name comes in', async () => {
    expect(await rejection(client(server.address).waitUntilReady())).toMatchObject({ code: 'ERR_SIGN_IN' })
  })

  test('what is not permitted is refused at once, and the rest goes on', async () => {
    const ann = client(server.address, { user: 'ann', password: 's@cret', inboxPrefix: '_INBOX_ann' })
    await ann.waitUntilReady()
    expect(await rejection(ann.publish('other', 1))).toMatchObject({ code: 403 })
    expect(await rejection(ann.request('other', 1))).toMatchObject({ code: 403 })
    expect(await rejection(ann.subscribe('other'))).toMatchObject({ code: 403 })
    expect(await rejection(ann.waitForInterest('other'))).toMatchObject({ code: 403 })
    const denied = once(ann, 'permission')
    ann.publishSync('other', 1)
    expect((await denied)[0]).toMatchObject({ subject: 'other', type: 'pub' })
    const subscription = await ann.subscribe('app.a')
    expect(await ann.publish('app.a', 'hi')).toMatchObject({ count: 1 })
    expect((await read(subscription, 1))[0]!.data).toBe('hi')
    expect(await rejection(ann.request('app.nobody', 1))).toMatchObject({ code: 503 })
    subscription.close()
  })

  test('a client that may not have its inbox says so', async () => {
    const ann = client(server.address, { user: 'ann', password: 's@cret' })
    const error = await rejection(ann.waitUntilReady())
    expect(error).toMatchObject({ code: 403, message: expect.stringContaining('_INBOX') })
  })
})

describeNats('a server of NATS that starts again', () => {
  test('has thousands of subscriptions back in one go, and gateways theirs', async () => {
    const server = new NatsServer()
    await server.start()
    const broker = init({ port: null, upstream: server.address, maxSubscriptionsPerClient: 5000 })
    await broker.waitUntilReady()
    const [direct, inside] = [client(server.address), broker.client()]
    clients.push(inside)
    const COUNT = 2000
    let heard = 0
    let finish = () => {}
    for (const [made, prefix] of [
      [direct, 'a'],
      [inside, 'b'],
    ] as const) {
      const all = await Promise.all(Array.from({ length: COUNT }, (_, n) => made.subscribe(`${prefix}.${n}`)))
      for (const one of all) one.emitter.on('message', () => ++heard === 2 * COUNT && finish())
    }
    await server.kill()
    await server.start()
    for (const [made, prefix] of [
      [inside, 'a'],
      [direct, 'b'],
    ] as const) {
      await made.waitForInterest(`${prefix}.${COUNT - 1}`)
      expect(broker.totals!.upstream!.ready).toBe(true)
      for (let n = 0; n < COUNT; n++) made.publishSync(`${prefix}.${n}`, n)
    }
    await new Promise<void>(resolve => {
      finish = resolve
      if (heard === 2 * COUNT) resolve()
    })
    expect(broker.totals!.upstream).toMatchObject({ patterns: COUNT + 1, lost: 0 })
    await Promise.all(clients.splice(0).map(made => made.close()))
    await broker.close()
    await server.close()
  }, 60_000)
})

describeNats('several servers of NATS', () => {
  test('the next one is tried at once, and the one that stops is left', async () => {
    const [first, second] = [new NatsServer(), new NatsServer()]
    await Promise.all([first.start(), second.start()])
    const gone = new NatsServer()
    await gone.start()
    await gone.kill()
    const made = client(`${gone.address},${first.address},${second.address}`)
    await made.waitUntilReady()
    // Whichever it is: two clients see each other only at one server.
    const [one, two] = [client(first.address), client(second.address)]
    await Promise.all([one.waitUntilReady(), two.waitUntilReady()])
    const subscription = await made.subscribe('where')
    const isAtFirst = (await one.publish('where', 1)).count === 1
    expect((await two.publish('where', 2)).count).toBe(isAtFirst ? 0 : 1)
    const [at, other] = isAtFirst ? [first, two] : [second, one]
    const left = movedOf(made)
    // The lame duck mode: the server tells its clients to leave, and stays for a while.
    at.signal('SIGUSR2')
    await left
    expect((await other.publish('where', 3)).count).toBe(1)
    subscription.close()
    await Promise.all([first, second, gone].map(server => server.close()))
  })
})

describeNats('a cluster of NATS', () => {
  test('many clients of a server that stops leave one after the other, and their sockets go on', async () => {
    const [first, second] = (await startNatsCluster(2)) as [NatsServer, NatsServer]
    const listener = client(second.address).socket.listen('echo')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    await listener.waitUntilReady()
    const guests = Array.from({ length: 12 }, () => client(first.address))
    const sockets = guests.map(guest => guest.socket.connect('echo'))
    async function echo(n: number): Promise<void> {
      const echoes = sockets.map(socket => take(socket, 1))
      for (const socket of sockets) socket.write(n)
      expect(await Promise.all(echoes)).toEqual(sockets.map(() => [n]))
    }
    await echo(1)
    // It closes them 10 s later.
    const { id } = guests[0]!.info!
    const stayed: number[] = []
    const left = guests.map(async guest => {
      await movedOf(guest)
      stayed.push(guests.filter(({ info }) => info!.id === id).length)
    })
    first.signal('SIGUSR2')
    await Promise.all(left)
    expect(stayed[0]).toBeGreaterThan(0)
    await echo(2)
    expect(sockets.map(socket => socket.state)).toEqual(sockets.map(() => 'ready'))
    await Promise.all(clients.splice(0).map(each => each.close()))
    await Promise.all([first.close(), second.close()])
  }, 60_000)
})

describeNats('NATS over TLS', () => {
  const { cert, key } = materialFiles('server')
  const tls = `tls { cert_file: "${cert}", key_file: "${key}" }`
  const server = new NatsServer(tls)
  const first = new NatsServer(tls.replace('}', ', handshake_first: true }'))
  const plain = new NatsServer()
  const hasTlsFirst = isNatsAtLeast(11)
  beforeAll(() => Promise.all([server.start(), plain.start(), hasTlsFirst ? first.start() : undefined]))
  afterAll(() => Promise.all([server.close(), first.close(), plain.close()]))
  const secure = (address: string) => address.replace('nats:', 'tls:')

  test('after the introduction, whether the address asks for it or the server', async () => {
    for (const address of [secure(server.address), server.address]) {
      const made = client(address, { ca: CA })
      await made.waitUntilReady()
      expect((await made.publish('nobody', 1)).count).toBe(0)
    }
  })

  ;(hasTlsFirst ? test : test.skip)('before it, where the server waits for that', async () => {
    await client(secure(first.address), { ca: CA }).waitUntilReady()
    expect(['ERR_CONNECT', 'ECONNRESET', 'ERR_REFUSED', 'ERR_TLS_REQUIRED']).toContain(
      (await failure(client(first.address, { ca: CA }))).code,
    )
  })

  test('a server that is not trusted, and one without TLS', async () => {
    expect(await failure(client(secure(server.address)))).toMatchObject({ code: 'ERR_TLS_UNTRUSTED' })
    expect(await failure(client(secure(plain.address), { ca: CA }))).toMatchObject({ code: 'ERR_TLS_PLAIN' })
  })
})

test('credentials are read from a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-nats-creds-'))
  const file = join(folder, 'user.creds')
  const shown = new Promise<string>(resolve => {
    void peer(socket => {
      socket.write('INFO {"version":"2.15.1","headers":true,"max_payload":1048576,"nonce":"abc"}\r\n')
      socket.once('data', data => resolve(String(data)))
    }).then(address => {
      writeFileSync(
        file,
        '-----BEGIN NATS USER JWT-----\nthe.jwt\n------END NATS USER JWT------\n' +
          '-----BEGIN USER NKEY SEED-----\nSUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n------END\n',
      )
      client(address, { credentials: file })
    })
  })
  expect(await shown).toMatch(/^CONNECT \{.*"jwt":"the\.jwt".*"sig":"[\w-]{86}"/)
  expect(await shown).not.toContain('SUAC')
  rmSync(folder, { recursive: true, force: true })
})
