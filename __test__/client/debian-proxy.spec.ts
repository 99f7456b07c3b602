// Clients behind a proxy that others wrote: Debian's tinyproxy, on every wire. Without it these tests say that they were skipped.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ConatServer, type ConnectOptions, connect, type FabricError, init } from 'selvedge'
import { CA, material } from '../support/certificates'
import { freePorts, NATS_SERVER, NatsServer } from '../support/nats'

const isThere = spawnSync('tinyproxy', ['-v']).status === 0

;(isThere ? describe : describe.skip)(isThere ? 'behind tinyproxy' : 'skipped: there is no tinyproxy', () => {
  let folder: string
  let port: number
  let proxy: ReturnType<typeof spawn>
  const open: { close(): Promise<void> }[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    ;[port] = (await freePorts(1)) as [number]
    const lines = [`Port ${port}`, 'Listen 127.0.0.1', 'Timeout 60', 'MaxClients 100', 'BasicAuth ann secret']
    writeFileSync(join(folder, 'tinyproxy.conf'), `${lines.join('\n')}\n`)
    proxy = spawn('tinyproxy', ['-d', '-c', join(folder, 'tinyproxy.conf')], { stdio: 'ignore' })
    // It says nothing when it listens.
    for (;;) {
      const socket = dial(port, '127.0.0.1')
      const [outcome] = await Promise.race([
        once(socket, 'connect').then(() => [true]),
        once(socket, 'error').then(() => [false]),
      ]).catch(() => [false])
      socket.destroy()
      if (outcome) break
      if (proxy.exitCode !== null) throw Error(`tinyproxy ended with ${proxy.exitCode}`)
    }
  })
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close()
  })
  afterAll(async () => {
    const gone = once(proxy, 'exit')
    proxy.kill('SIGKILL')
    await gone
    rmSync(folder, { recursive: true })
  })

  function member(options: ConnectOptions, who = 'ann:secret@'): Client {
    const client = connect({ noCache: true, proxy: `http://${who}127.0.0.1:${port}`, ...options })
    open.push(client)
    return client
  }

  async function serve(options = {}): Promise<ConatServer> {
    const broker = init({ port: 0, host: '127.0.0.1', ...options })
    open.push(broker)
    await broker.waitUntilReady()
    return broker
  }

  test.each([
    ['http', 'selvedge'],
    ['http', 'conat'],
    ['ws', 'selvedge'],
    ['https', 'selvedge'],
    ['https', 'conat'],
    ['wss', 'selvedge'],
  ] as const)('%s, %s: messages, requests and a socket with 9 MB both ways', async (scheme, wire) => {
    const isSecure = scheme === 'https' || scheme === 'wss'
    const broker = await serve(isSecure ? { ssl: material('server') } : {})
    const address = `${scheme}://localhost:${broker.address()!.port}`
    const tls = isSecure ? { ca: CA } : {}
    const [host, guest] = [member({ address, wire, ...tls }), member({ address, wire, ...tls })]
    await Promise.all([host.waitUntilReady(), guest.waitUntilReady()])
    const answers = await host.subscribe('ask')
    answers.emitter.on('message', message => message.respondSync(message.data))
    expect((await guest.request('ask', 'through it')).data).toBe('through it')
    const listener = host.socket.listen('echo')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    await listener.waitUntilReady()
    const socket = guest.socket.connect('echo')
    const large = Buffer.alloc(9_000_000, 7)
    const back = once(socket, 'data')
    socket.write(large)
    expect(large.equals((await back)[0] as Buffer)).toBe(true)
  })

  const onNats = NATS_SERVER === undefined ? test.skip : test
  onNats('NATS: messages, and a gateway', async () => {
    const server = new NatsServer()
    await server.start()
    open.push(server)
    const proxied = { address: server.address, proxy: `http://ann:secret@127.0.0.1:${port}` }
    const client = member({ address: server.address })
    const gateway = init({ port: null, upstream: proxied })
    open.push(gateway)
    await Promise.all([client.waitUntilReady(), gateway.waitUntilReady()])
    const subscription = await client.subscribe('news')
    await gateway.client().publish('news', 'through both')
    expect((await subscription.next()).value?.data).toBe('through both')
  })

  test('whoever it does not know is told so, and what it cannot reach', async () => {
    const broker = await serve()
    const address = `http://127.0.0.1:${broker.address()!.port}`
    const reason = async (client: Client): Promise<FabricError> =>
      (await once(client, 'connectFailed'))[0] as FabricError
    for (const who of ['', 'ann:wrong@'])
      expect(await reason(member({ address }, who))).toMatchObject({ code: 'ERR_PROXY_AUTH' })
    const [nobody] = await freePorts(1)
    const unreachable = member({ address: `http://127.0.0.1:${nobody}` })
    expect(await reason(unreachable)).toMatchObject({ code: 'ERR_PROXY_TUNNEL' })
  })
})
