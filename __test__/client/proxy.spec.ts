// Clients behind an HTTP proxy: a small one that is real, and what it refuses.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect as dial, type Socket } from 'node:net'
import { inspect } from 'node:util'
import { type Client, type ConatServer, type ConnectOptions, connect, type FabricError, init } from 'selvedge'
import { loose } from '../support/authority'
import { CA, material } from '../support/certificates'
import { runCommand } from '../support/command'
import { NATS_SERVER, NatsServer } from '../support/nats'

/** Connects whoever signs in as `ann` to whatever they name, and takes a note. */
class SmallProxy {
  readonly asked: string[] = []
  readonly #server: Server
  readonly #streams = new Set<Socket>()
  answer = 'HTTP/1.1 200 Connection established'
  password: string | undefined

  constructor(server: Server = createServer()) {
    this.#server = server
    server.on('connection', (stream: Socket) => this.#keep(stream))
    server.on('connect', ({ url = '', headers }, stream: Socket) => {
      this.asked.push(url)
      const wanted = this.password && `Basic ${Buffer.from(`ann:${this.password}`).toString('base64')}`
      if (wanted !== undefined && headers['proxy-authorization'] !== wanted) {
        stream.end(
          'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n',
        )
        return
      }
      if (!this.answer.includes(' 200 ')) {
        stream.end(`${this.answer}\r\n\r\n`)
        return
      }
      const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(url)!
      // The proxy knows names that this machine does not.
      const far = dial(Number(port), host === 'broker.inside' ? '127.0.0.1' : host!)
      this.#keep(far)
      far.on('connect', () => {
        stream.write(`${this.answer}\r\n\r\n`)
        stream.pipe(far).pipe(stream)
      })
      far.on('error', () => stream.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))
    })
  }

  #keep(stream: Socket): void {
    this.#streams.add(stream)
    stream.on('error', () => stream.destroy())
    stream.on('close', () => this.#streams.delete(stream))
  }

  async start(): Promise<this> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return this
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Ends every tunnel; they come back. */
  cut(): void {
    for (const stream of this.#streams) stream.destroy()
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }
}

const QUICK = { reconnectionDelay: 5, reconnectionDelayMax: 50, noCache: true }
const VARIABLES = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy']

describe('a client behind a proxy', () => {
  const before = VARIABLES.map(name => [name, process.env[name]] as const)
  let proxy: SmallProxy
  let broker: ConatServer
  let clients: Client[]

  beforeEach(async () => {
    for (const name of VARIABLES) delete process.env[name]
    clients = []
    broker = init({ port: 0, allowedHosts: ['broker.inside', '0.0.0.0'] })
    await broker.waitUntilReady()
    proxy = await new SmallProxy().start()
  })
  afterEach(async () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
    await Promise.all(clients.map(client => client.close()))
    await proxy.close()
    await broker.close()
  })

  const join = (options: ConnectOptions): Client => {
    const client = connect({ ...QUICK, ...options })
    clients.push(client)
    return client
  }
  const inside = (scheme = 'http'): string => `${scheme}://broker.inside:${broker.address()!.port}`
  const failure = async (client: Client): Promise<FabricError> => {
    const [reason] = await once(client, 'connectFailed')
    return reason as FabricError
  }

  test.each([
    ['http', 'selvedge'],
    ['http', 'conat'],
    ['ws', 'selvedge'],
  ] as const)('%s, %s: connects, is cut, and comes back through it', async (scheme, wire) => {
    proxy.password = 's@fe:1'
    const client = join({
      address: inside(scheme),
      wire,
      proxy: `http://ann:s%40fe%3A1@127.0.0.1:${proxy.port}`,
    })
    await client.waitUntilConnected()
    const subscription = await client.subscribe('news')
    expect(await client.publish('news', 'a')).toMatchObject({ count: 1 })
    expect(proxy.asked).toEqual([inside().slice(7)])
    const again = once(client, 'connected')
    proxy.cut()
    await again
    expect(await client.publish('news', 'b')).toMatchObject({ count: 1 })
    expect((await subscription.next()).value?.data).toBe('a')
    expect((await subscription.next()).value?.data).toBe('b')
    subscription.close()
  })

  test('TLS goes through it to the end, and with the proxy itself', async () => {
    const secure = init({ port: 0, ssl: material('server') })
    await secure.waitUntilReady()
    const outer = await new SmallProxy(createTlsServer(material('server'))).start()
    for (const [scheme, through] of [
      ['https', `http://127.0.0.1:${proxy.port}`],
      ['wss', `http://127.0.0.1:${proxy.port}`],
      ['https', `https://localhost:${outer.port}`],
    ] as const) {
      const address = `${scheme}://localhost:${secure.address()!.port}`
      await join({ address, ca: CA, proxy: through }).waitUntilConnected()
    }
    await join({ address: inside(), ca: CA, proxy: `https://localhost:${outer.port}` }).waitUntilConnected()
    const untrusted = join({ address: inside(), proxy: `https://localhost:${outer.port}` })
    expect(await failure(untrusted)).toMatchObject({ code: 'ERR_TLS_UNTRUSTED' })
    await Promise.all(clients.map(client => client.close()))
    await outer.close()
    await secure.close()
  })

  const onNats = NATS_SERVER === undefined ? test.skip : test
  onNats('servers of NATS are reached through it, by clients and by gateways', async () => {
    const server = new NatsServer()
    await server.start()
    const way = {
      address: `nats://broker.inside:${server.port}`,
      proxy: `http://127.0.0.1:${proxy.port}`,
    }
    const gateway = init({ port: null, upstream: way })
    try {
      const client = join(way)
      const subscription = await client.subscribe('news')
      await gateway.waitUntilReady()
      await gateway.client().publish('news', 'through both')
      expect((await subscription.next()).value?.data).toBe('through both')
      expect(new Set(proxy.asked)).toEqual(new Set([way.address.slice('nats://'.length)]))
      expect(gateway.options.upstream).toEqual({ address: [way.address], proxy: way.proxy })
    } finally {
      await Promise.all(clients.map(client => client.close()))
      await gateway.close()
      await server.close()
    }
  })

  test('the environment says which, and for whom not', async () => {
    process.env.HTTP_PROXY = `127.0.0.1:${proxy.port}`
    process.env.HTTPS_PROXY = 'http://127.0.0.1:1'
    await join({ address: inside() }).waitUntilConnected()
    expect(proxy.asked).toHaveLength(1)
    // Loopback has none, and an option goes before the environment.
    await join({ address: `http://127.0.0.1:${broker.address()!.port}` }).waitUntilConnected()
    expect(proxy.asked).toHaveLength(1)
    const refused = join({ address: inside(), proxy: 'http://127.0.0.1:1' })
    expect(await failure(refused)).toMatchObject({
      code: 'ECONNREFUSED',
      message: expect.stringContaining('the proxy 127.0.0.1:1'),
    })
    await join({
      address: `http://127.0.0.1:${broker.address()!.port}`,
      proxy: `http://127.0.0.1:${proxy.port}`,
    }).waitUntilConnected()
    expect(proxy.asked).toHaveLength(2)
    // Straight to an address that is none of loopback's, and leads here.
    const here = `http://0.0.0.0:${broker.address()!.port}`
    await join({ address: here }).waitUntilConnected()
    expect(proxy.asked).toHaveLength(3)
    await join({ address: here, proxy: false }).waitUntilConnected()
    process.env.NO_PROXY = 'a.example, 0.0.0.0'
    await join({ address: here }).waitUntilConnected()
    expect(proxy.asked).toHaveLength(3)
  })

  test('the doctor says which it is, and what is wrong with it', async () => {
    const args = ['doctor', '--server', `http://0.0.0.0:${broker.address()!.port}`]
    const env = { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` }
    const healthy = await runCommand(args, { env })
    expect(healthy).toMatchObject({ exit: 0, stdout: expect.stringContaining('that of HTTP_PROXY') })
    expect(proxy.asked.length).toBeGreaterThan(0)
    proxy.password = 'right'
    const ill = await runCommand(args, { env })
    expect(ill).toMatchObject({ exit: 8, stdout: expect.stringMatching(/FAIL +signin .*ERR_PROXY_AUTH/) })
  }, 30_000)

  test('what it refuses is told by a code, and tried again', async () => {
    proxy.password = 'right'
    for (const [user, text] of [
      ['', 'wants a user and a password'],
      ['ann:wrong@', 'does not accept the user and the password'],
    ]) {
      const client = join({ address: inside(), proxy: `http://${user}127.0.0.1:${proxy.port}` })
      const reason = await failure(client)
      expect(reason.code).toBe('ERR_PROXY_AUTH')
      expect(reason.message).toContain(text)
      expect(inspect([client, client.options, reason])).not.toContain('wrong')
      await client.close()
    }
    proxy.password = undefined
    proxy.answer = 'HTTP/1.1 403 Forbidden'
    const client = join({ address: inside(), proxy: `http://127.0.0.1:${proxy.port}` })
    expect(await failure(client)).toMatchObject({
      code: 'ERR_PROXY_TUNNEL',
      message: expect.stringContaining(
        `the proxy 127.0.0.1:${proxy.port} does not connect us to the server: 403 Forbidden`,
      ),
    })
    const connected = client.waitUntilConnected()
    proxy.answer = 'HTTP/1.1 200 OK'
    await connected
  })

  test('a proxy that cannot be one is refused where it is given, without its text', () => {
    for (const wrong of ['', 'socks5://s3cret@h:1', 'http://', 'http://u:%zz@h', 5, true, null, {}]) {
      const attempt = () => connect({ ...QUICK, address: inside(), proxy: loose(wrong) })
      expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
      expect(attempt).not.toThrow(/s3cret/)
    }
    process.env.http_proxy = 'socks5://s3cret@h:1'
    expect(() => connect({ ...QUICK, address: inside() })).toThrow(
      'http_proxy must be a URL of http or https',
    )
    const visible = join({ address: inside(), autoConnect: false, proxy: 'http://ann:s3c@ret@h:1' }).options
    expect(visible.proxy).toBe('http://h:1')
  })
})
