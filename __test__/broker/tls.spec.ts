// TLS: who is believed, who is let in, new certificates under traffic, and peers that are not ours.
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import {
  type Client,
  type ConatServer,
  type ConnectOptions,
  connect,
  init,
  type ServerOptions,
  type Visitor,
} from 'selvedge'
import { CA, material, OTHER_CA } from '../support/certificates'
import { rejection } from '../support/messages'
import { closed } from '../support/raw'
import { join, listening, numbers, take } from '../support/sockets'

const SELF_SIGNED = material('self-signed').cert
/** As an application may have it: several, with words between them. */
const ONE_FILE = `${OTHER_CA}\nOurs:\n${CA}${SELF_SIGNED}`

const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

async function serve(ssl: ServerOptions['ssl'], options: ServerOptions = {}): Promise<ConatServer> {
  const broker = init({ port: 0, host: '127.0.0.1', ssl, ...options })
  open.push(broker)
  await broker.waitUntilReady()
  return broker
}

function port(broker: ConatServer): number {
  return broker.address()!.port
}

function enter(broker: ConatServer, options: ConnectOptions = {}, host = 'localhost'): Client {
  const client = connect({
    address: `https://${host}:${port(broker)}`,
    noCache: true,
    reconnectionDelay: 5,
    reconnectionDelayMax: 20,
    ...options,
  })
  open.push(client)
  return client
}

/** Why a client does not get in. */
async function obstacle(broker: ConatServer, options: ConnectOptions = {}, host?: string): Promise<Error> {
  const [reason] = await once(enter(broker, options, host), 'connectFailed')
  return reason
}

describe('a server with a certificate', () => {
  test.each([
    ['signed by one whom we know', 'server', { ca: CA }, 'localhost'],
    ['and the same by address', 'server', { ca: [OTHER_CA, Buffer.from(CA)] }, '127.0.0.1'],
    ['for another name that we say', 'elsewhere', { ca: CA, servername: 'elsewhere.example' }, 'localhost'],
    ['of its own signature, which we have as ca', 'self-signed', { ca: SELF_SIGNED }, 'localhost'],
    ['of its own signature, among others in one file', 'self-signed', { ca: ONE_FILE }, 'localhost'],
    ['signed by one among others in one file', 'server', { ca: ONE_FILE }, 'localhost'],
    ['of its own signature, among several', 'self-signed', { ca: [CA, SELF_SIGNED] }, 'localhost'],
    ['that we do not look at', 'expired', { rejectUnauthorized: false }, 'localhost'],
  ] as const)('%s is talked to', async (_, name, options, host) => {
    const broker = await serve(material(name))
    for (const wire of ['conat', 'selvedge', undefined] as const) {
      const client = enter(broker, { ...options, wire } as ConnectOptions, host)
      await client.waitUntilReady({ timeout: 5000 })
    }
  })

  test.each([
    ['signed by nobody whom we know', 'server', {}, 'ERR_TLS_UNTRUSTED', /option ca/],
    ['signed by another than we know', 'server', { ca: OTHER_CA }, 'ERR_TLS_UNTRUSTED', /option ca/],
    ['that has expired', 'expired', { ca: CA }, 'ERR_TLS_EXPIRED', /expired/],
    ['for another name', 'elsewhere', { ca: CA }, 'ERR_TLS_NAME', /elsewhere\.example/],
    [
      'of its own signature, which we do not have',
      'self-signed',
      { ca: CA },
      'ERR_TLS_UNTRUSTED',
      /openssl req/,
    ],
    [
      'of its own signature, for another name',
      'self-signed',
      { ca: SELF_SIGNED, servername: 'elsewhere.example' },
      'ERR_TLS_NAME',
      /elsewhere\.example/,
    ],
    [
      'of its own signature, with a name in CN alone',
      'no-names',
      { ca: material('no-names').cert },
      'ERR_TLS_NAME',
      /subjectAltName=DNS/,
    ],
    ['and an old version', 'server', { ca: CA, minVersion: 'TLSv1.3' }, 'ERR_TLS', /version|Protocol/i],
  ] as const)('%s is not', async (what, name, options, code, text) => {
    if (what.includes('version')) {
      const old = tls.createServer({ ...material(name), maxVersion: 'TLSv1.2' }).listen(0, '127.0.0.1')
      await once(old, 'listening')
      old.on('tlsClientError', () => {})
      const address = `https://localhost:${(old.address() as net.AddressInfo).port}`
      const client = connect({ ...options, address, noCache: true })
      const [reason] = await once(client, 'connectFailed')
      expect(reason).toMatchObject({ code, message: expect.stringMatching(text) })
      await client.close()
      old.close()
      return
    }
    const broker = await serve(material(name))
    expect(await obstacle(broker, options as ConnectOptions)).toMatchObject({
      code,
      message: expect.stringMatching(text),
    })
  })

  test('is waited for, and a wait that ends says what stood in the way', async () => {
    const client = enter(await serve(material('expired')), { ca: CA })
    await once(client, 'connectFailed')
    const error = await rejection(client.waitUntilReady({ timeout: 1 }))
    expect(error).toMatchObject({ code: 408, cause: { code: 'ERR_TLS_EXPIRED' } })
    expect(error.message).toMatch(/not ready.*expired/)
  })
})

describe('one side without TLS', () => {
  test('is told which scheme to use', async () => {
    const secure = await serve(material('server'))
    const plain = connect({ address: `http://127.0.0.1:${port(secure)}`, noCache: true })
    open.push(plain)
    expect((await once(plain, 'connectFailed'))[0]).toMatchObject({ code: 'ERR_TLS_REQUIRED' })
    expect(await obstacle(await serve(undefined), { ca: CA })).toMatchObject({ code: 'ERR_TLS_PLAIN' })
  })

  test('gets HTTP from the TLS port, whatever it is', async () => {
    const broker = await serve(material('server'))
    const response = await fetch(`http://127.0.0.1:${port(broker)}/healthz`)
    expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'TLS/1.2, HTTP/1.1'])
    const rude = net.connect(port(broker), '127.0.0.1')
    rude.end('\0\0\0nonsense')
    await closed(rude)
    expect(await health(broker)).toMatch(/^HTTP\/1.1 200 OK/)
  })
})

/** What a TLS client of Node.js is answered. */
async function health(broker: ConatServer, options: tls.ConnectionOptions = {}): Promise<string> {
  const socket = tls.connect({ port: port(broker), host: 'localhost', ca: CA, ...options })
  await once(socket, 'secureConnect')
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part)
  return Buffer.concat(parts).toString()
}

describe('a foreign peer', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s', async version => {
    const broker = await serve(material('server'))
    expect(await health(broker, { minVersion: version, maxVersion: version })).toMatch(/\r\n\r\nok$/)
  })

  test('is refused below what the server wants', async () => {
    const broker = await serve({ ...material('server'), minVersion: 'TLSv1.3' })
    await expect(health(broker, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/version/)
    expect(await health(broker)).toMatch(/200 OK/)
  })
})

describe('clients with certificates', () => {
  const asking = { ...material('server'), ca: CA, requestCert: true }

  test('get in, and others do not', async () => {
    const broker = await serve(asking)
    for (const wire of ['conat', 'selvedge'] as const) {
      await enter(broker, { ca: CA, ...material('client'), wire }).waitUntilReady({ timeout: 5000 })
    }
    expect(await obstacle(broker, { ca: CA })).toMatchObject({ code: 'ERR_TLS_CLIENT_CERTIFICATE' })
    const expired = await obstacle(broker, { ca: CA, ...material('expired') })
    expect(expired).toMatchObject({ code: 'ERR_TLS_CLIENT_CERTIFICATE' })
  })

  test('are welcome and not needed, if the server says so', async () => {
    const broker = await serve({ ...asking, rejectUnauthorized: false })
    await enter(broker, { ca: CA }).waitUntilReady({ timeout: 5000 })
    await enter(broker, { ca: CA, ...material('client') }).waitUntilReady({ timeout: 5000 })
    const refused = await obstacle(broker, { ca: CA, ...material('expired') })
    expect(refused).toMatchObject({ code: 'ERR_TLS_CLIENT_CERTIFICATE' })
  })
})

describe('who somebody is by a certificate', () => {
  const ssl = { ...material('server'), ca: CA, requestCert: true, rejectUnauthorized: false }
  const ada = new X509Certificate(material('client').cert)

  /** A program that knows its users by their certificates, and by nothing that they say. */
  const getUser = ({ handshake }: Visitor): unknown => {
    const shown = handshake.certificate
    if (shown === null) throw Object.assign(Error('no certificate'), { code: 401 })
    const names = [...shown.subjectAltNames]
    return { isAda: shown.fingerprint256 === ada.fingerprint256, names }
  }

  test.each(['conat', 'selvedge'] as const)(
    'reaches getUser, wire %s; without one there is none',
    async wire => {
      const broker = await serve(ssl, { getUser })
      const client = enter(broker, { ca: CA, ...material('client'), wire })
      await client.waitUntilSignedIn({ timeout: 5000 })
      const names = ['DNS:ada.users.example', 'URI:spiffe://example/ada']
      expect(client.info!.user).toEqual({ isAda: true, names })
      // Headers of that name are data.
      const extraHeaders = { certificate: ada.fingerprint256, 'X-Client-Cert': ada.fingerprint256 }
      const liar = enter(broker, { ca: CA, wire, extraHeaders, reconnection: false })
      expect((await rejection(liar.waitUntilSignedIn({ timeout: 5000 }))).message).toMatch(/no certificate/)
    },
  )

  test('reaches getUser from an HTTP server, if Node.js has verified it', async () => {
    const server = createServer({ ...ssl, maxVersion: 'TLSv1.3' })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const broker = init({ httpServer: server, getUser })
    await broker.waitUntilReady()
    const address = `https://localhost:${(server.address() as net.AddressInfo).port}`
    const join = (options: ConnectOptions): Client =>
      connect({ address, ca: CA, noCache: true, reconnection: false, ...options })
    const [client, foreign, nobody] = [join(material('client')), join(material('expired')), join({})]
    await client.waitUntilSignedIn({ timeout: 5000 })
    expect((client.info!.user as { isAda: boolean }).isAda).toBe(true)
    for (const one of [foreign, nobody]) {
      expect((await rejection(one.waitUntilSignedIn({ timeout: 5000 }))).message).toMatch(/no certificate/)
    }
    for (const one of [client, foreign, nobody, broker]) await one.close()
    server.close()
  })

  test('is null within the process and without TLS', async () => {
    const seen: unknown[] = []
    const options = { getUser: (visitor: Visitor) => seen.push(visitor.handshake.certificate) }
    const broker = await serve(undefined, options)
    const [inside, outside] = [
      broker.client(),
      connect({ address: `http://127.0.0.1:${port(broker)}`, noCache: true }),
    ]
    open.push(inside, outside)
    await Promise.all([inside.waitUntilSignedIn(), outside.waitUntilSignedIn()])
    expect(seen).toEqual([null, null])
  })
})

describe('a new certificate', () => {
  const fingerprint = async (broker: ConatServer): Promise<string> => {
    const socket = tls.connect({ port: port(broker), host: 'localhost', ca: CA })
    await once(socket, 'secureConnect')
    const { fingerprint256 } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprint256
  }

  test('is shown to who comes next, and a socket that streams does not notice', async () => {
    const broker = await serve(material('server'))
    const [host, guest] = [enter(broker, { ca: CA }), enter(broker, { ca: CA })]
    let cuts = 0
    for (const client of [host, guest]) client.on('disconnected', () => cuts++)
    const [server, socket] = await join(await listening(host, 'chat'), guest)
    const before = await fingerprint(broker)
    const all = take(server, 3000)
    for (const n of numbers(1, 3000)) {
      if (n === 1000) broker.setSecureContext(material('renewed'))
      if (!socket.write(n)) await socket.drain()
      if (n === 2000) broker.setSecureContext(material('server'))
    }
    expect(await all).toEqual(numbers(1, 3000))
    broker.setSecureContext(material('renewed'))
    expect(await fingerprint(broker)).not.toBe(before)
    expect(cuts).toBe(0)
  })

  test('that cannot be used changes nothing', async () => {
    const broker = await serve(material('server'))
    const before = await fingerprint(broker)
    const mixed = { key: material('server').key, cert: material('renewed').cert }
    const rubbish = { key: 'x', cert: 'y' }
    for (const options of [mixed, rubbish, {}, { ...material('renewed'), ca: 'x' }].slice(0, 3)) {
      expect(() => broker.setSecureContext(options as typeof mixed)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
      )
    }
    expect(await fingerprint(broker)).toBe(before)
    const plain = await serve(undefined)
    expect(() => plain.setSecureContext(material('server'))).toThrow(/does not speak TLS/)
  })
})

describe('options of TLS', () => {
  test.each([
    [{ ssl: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ ssl: {} }, 'ERR_INVALID_ARG_VALUE'],
    [{ ssl: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ ssl: { ...material('server'), pfx: 'x' } }, 'ERR_UNKNOWN_OPTION'],
    [{ ssl: { ...material('server'), requestCert: true } }, 'ERR_INVALID_ARG_VALUE'],
    [{ ssl: { ...material('server'), minVersion: 'TLSv1.1' } }, 'ERR_INVALID_ARG_VALUE'],
    [{ ssl: { ...material('server'), cert: 5 } }, 'ERR_INVALID_ARG_TYPE'],
    [{ ssl: material('server'), socketPath: '/x' }, 'ERR_INVALID_ARG_VALUE'],
  ])('of a server that make no sense are refused: %#', (options, code) => {
    expect(() => init({ port: 0, ...options } as ServerOptions)).toThrow(expect.objectContaining({ code }))
  })

  test.each([
    [{ cert: material('client').cert }, 'ERR_INVALID_ARG_VALUE'],
    [{ ca: 'rubbish' }, 'ERR_INVALID_ARG_VALUE'],
    [{ servername: 'not a name' }, 'ERR_INVALID_ARG_VALUE'],
    [{ ca: [5] }, 'ERR_INVALID_ARG_TYPE'],
  ])('of a client that make no sense are refused: %#', (options, code) => {
    const all = { address: 'https://localhost:1', noCache: true, ...options } as ConnectOptions
    expect(() => connect(all)).toThrow(expect.objectContaining({ code }))
  })

  test('do not show keys', async () => {
    const broker = await serve(material('server'))
    expect(broker.options.ssl).toBe(true)
    expect(JSON.stringify(broker.options)).not.toContain('KEY')
  })
})
