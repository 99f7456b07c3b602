// Servers of NATS that do not let a client or a gateway in, each by its code: at once, but for one that says nothing.
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import {
  type Client,
  type ConatServer,
  type ConnectOptions,
  connect,
  type FabricError,
  init,
  type UpstreamOptions,
} from 'selvedge'
import { CA, materialFiles } from '../support/certificates'
import { rejection } from '../support/messages'
import { describeNats, isNatsAtLeast, NatsServer } from '../support/nats'
import { Operator } from '../support/nats-operator'

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close()
})

/** What a client says of the first attempt, and what a gateway says: their codes. */
async function codes(
  address: string,
  options: ConnectOptions = {},
): Promise<[client: unknown, gateway: unknown]> {
  const client = connect({ address, noCache: true, ...options })
  const broker = init({ port: null, upstream: { ...options, address } as UpstreamOptions })
  opened.push(client, broker)
  const refused = new Promise<FabricError>(resolve => client.once('signInRefused', resolve))
  const failed = once(client, 'connectFailed').then(([error]) => error as FabricError)
  const [error, [state, why]] = await Promise.all([Promise.race([refused, failed]), once(broker, 'upstream')])
  expect(state).toBe('away')
  for (const { message } of [error, why]) expect(message).not.toMatch(/s3cret|SU[A-Z0-9]{50}|eyJ/)
  return [error.code, why.code]
}

/** A server that does `talk` with each connection: its port. */
async function peer(talk: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    talk(socket)
  })
  return await listening(server, host)
}

async function listening(server: Server, host = '127.0.0.1'): Promise<number> {
  opened.push({ close: () => new Promise(resolve => server.close(resolve)) })
  await once(server.listen(0, host), 'listening')
  return (server.address() as AddressInfo).port
}

const info = (text: string) => (socket: Socket) => void socket.resume().write(`INFO ${text}\r\n`)

describe('who is no server of NATS that can be used', () => {
  const both = (code: string) => [code, code]

  test('nobody', async () => {
    const server = createServer()
    const port = await listening(server)
    await opened.pop()!.close()
    expect(await codes(`nats://127.0.0.1:${port}`)).toEqual(both('ECONNREFUSED'))
  })

  test('a name that does not exist', async () => {
    expect(await codes('nats://nobody.invalid')).toEqual(both('ERR_CONNECT'))
  })

  test.each<[string, (socket: Socket) => void]>([
    ['one of SMTP', socket => socket.write('220 mail.example ESMTP\r\n')],
    ['one of SSH', socket => socket.write('SSH-2.0-OpenSSH_9.2\r\n')],
    ['bytes that are no text', socket => socket.write(Buffer.alloc(5000, 0xff))],
    ['a broken introduction', info('{"version":')],
    ['one that introduces itself as something else', info('{"hello":"world"}')],
  ])('%s', async (_, talk) => {
    expect(await codes(`nats://127.0.0.1:${await peer(talk)}`)).toEqual(both('ERR_CONNECT'))
  })

  test('one of Redis, which answers an error', async () => {
    const port = await peer(socket => socket.on('data', () => socket.write('-ERR unknown command\r\n')))
    expect(await codes(`nats://127.0.0.1:${port}`)).toEqual(both('ERR_REFUSED'))
  })

  test('one of HTTP', async () => {
    expect(await codes(`nats://127.0.0.1:${await listening(createHttpServer())}`)).toEqual(
      both('ERR_CONNECT'),
    )
  })

  test.each(['127.0.0.1', 'localhost'])(
    'one that says nothing, at %s',
    async host => {
      const port = await peer(socket => socket.resume(), host)
      expect(await codes(`nats://${host}:${port}`)).toEqual(both('ETIMEDOUT'))
    },
    20_000,
  )

  test('one that introduces itself and says nothing more', async () => {
    const port = await peer(info('{"version":"2.15.1","headers":true,"max_payload":1048576}'))
    expect(await codes(`nats://127.0.0.1:${port}`)).toEqual(both('ETIMEDOUT'))
  }, 20_000)

  test.each([
    ['an old one', '{"version":"2.8.4","headers":true,"max_payload":1048576}'],
    ['one without headers', '{"version":"2.15.1","max_payload":1048576}'],
  ])('%s', async (_, text) => {
    expect(await codes(`nats://127.0.0.1:${await peer(info(text))}`)).toEqual(both('ERR_UNSUPPORTED'))
  })
})

describeNats('a server of NATS that wants somebody else', () => {
  async function started(config: string): Promise<NatsServer> {
    const server = new NatsServer(config)
    opened.push(server)
    await server.start()
    return server
  }
  const SIGN_IN = ['ERR_SIGN_IN', 'ERR_REFUSED']

  test.each<[string, string, ConnectOptions]>([
    ['nobody', 'authorization { user: a, password: "s3cret!" }', {}],
    ['a wrong password', 'authorization { user: a, password: "s3cret!" }', { user: 'a', password: 's3cret' }],
    ['a wrong token', 'authorization { token: "right" }', { token: 's3cret' }],
    [
      'a wrong key',
      'authorization { users: [{ nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 }] }',
      { credentials: new Operator().user() },
    ],
  ])('%s', async (_, config, options) => {
    expect(await codes((await started(config)).address, options)).toEqual(SIGN_IN)
  })

  test('credentials of another operator, and those whose time is over', async () => {
    const operator = new Operator()
    const { address } = await started(operator.config)
    const late = operator.user({ exp: Math.floor(Date.now() / 1000) - 10 })
    for (const credentials of [new Operator().user(), late]) {
      expect(await codes(address, { credentials })).toEqual(SIGN_IN)
    }
  })

  test('credentials whose time ends while they are in use', async () => {
    const operator = new Operator()
    const { address } = await started(operator.config)
    const credentials = operator.user({ exp: Math.floor(Date.now() / 1000) + 2 })
    const client = connect({ address, noCache: true, credentials })
    const broker: ConatServer = init({ port: null, upstream: { address, credentials } })
    opened.push(client, broker)
    const refused = once(client, 'signInRefused')
    await Promise.all([client.waitUntilReady(), broker.waitUntilReady()])
    const [state, error] = await once(broker, 'upstream')
    expect([state, error.code]).toEqual(['away', 'ERR_REFUSED'])
    expect((await refused)[0]).toMatchObject({ code: 'ERR_SIGN_IN' })
  }, 30_000)

  test('more connections than it takes', async () => {
    const { address } = await started('max_connections: 1')
    const first = connect({ address, noCache: true })
    opened.push(first)
    await first.waitUntilReady()
    expect(await codes(address)).toEqual([429, 429])
  })
})

describeNats('a server of NATS and TLS', () => {
  const { cert, key } = materialFiles('server')
  const { cert: ca } = materialFiles('self-signed')
  const tls = `cert_file: "${cert}", key_file: "${key}"`
  const secure = (address: string) => address.replace('nats:', 'tls:')

  test.each<[string, string, boolean, ConnectOptions, unknown[]]>([
    ['that is not trusted', `tls { ${tls} }`, false, {}, ['ERR_TLS_UNTRUSTED', 'ERR_TLS_UNTRUSTED']],
    ['that has none, where it is wanted', '', true, { ca: CA }, ['ERR_TLS_PLAIN', 'ERR_TLS_PLAIN']],
    [
      'that wants a certificate',
      `tls { ${tls}, ca_file: "${ca}", verify: true }`,
      true,
      { ca: CA },
      ['ERR_TLS_CLIENT_CERTIFICATE', 'ERR_TLS_CLIENT_CERTIFICATE'],
    ],
  ])('%s', async (_, config, isSecure, options, expected) => {
    const server = new NatsServer(config)
    opened.push(server)
    await server.start()
    const address = isSecure ? secure(server.address) : server.address
    expect(await codes(address, options)).toEqual(expected)
  })

  ;(isNatsAtLeast(11) ? test : test.skip)('that waits for it, of which a client does not know', async () => {
    const server = new NatsServer(`tls { ${tls}, handshake_first: true }`)
    opened.push(server)
    await server.start()
    expect(await codes(server.address, { ca: CA })).toEqual(['ERR_CONNECT', 'ERR_CONNECT'])
  })
})

describeNats('a server of NATS that does not permit it', () => {
  const server = new NatsServer(`authorization { users: [{ user: u, password: p, permissions: {
    publish: ["app.>", "_INBOX.>"], subscribe: ["app.>", "_INBOX.>"] } }] }`)
  beforeAll(() => server.start())
  afterAll(() => server.close())

  test('says so of each operation at once, to a client and to one of a gateway', async () => {
    const options = { address: server.address, user: 'u', password: 'p' }
    const direct: Client = connect({ ...options, noCache: true })
    const broker = init({ port: null, upstream: options })
    const inside = broker.client()
    opened.push(broker, inside, direct)
    await broker.waitUntilReady()
    for (const client of [direct, inside]) {
      const operations = {
        publish: () => client.publish('secret', 1),
        request: () => client.request('secret', 1),
        requestMany: async () => {
          for await (const _ of await client.requestMany('secret', 1)) break
        },
        subscribe: () => client.subscribe('secret'),
        'subscribe in a group': () => client.subscribe('secret', { queue: 'workers' }),
        interest: () => client.interest('secret'),
        waitForInterest: () => client.waitForInterest('secret'),
        listen: () => client.socket.listen('secret').waitUntilReady(),
        connect: () => client.socket.connect('secret').waitUntilReady(),
      }
      for (const [name, operate] of Object.entries(operations)) {
        expect([name, (await rejection(operate())).code]).toEqual([name, 403])
      }
      expect((await client.publish('app.nobody', 1)).count).toBe(0)
    }
  })
})
