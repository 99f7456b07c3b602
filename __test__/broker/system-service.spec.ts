// The system's service: for who has its password, and nobody else.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ConatServer, type ConnectOptions, connect, init, sysApi } from 'selvedge'
import { CA, material } from '../support/certificates'
import { until } from '../support/events'
import { describeFabric } from '../support/fabrics'
import { rejection } from '../support/messages'
import { disconnection } from '../support/sockets'

const PASSWORD = 's3cret!'

for (const kind of ['in-process', 'conat wire', 'selvedge wire', 'gateways'] as const) {
  describeFabric(
    kind,
    'the system service',
    fabric => {
      beforeEach(() => fabric.meetAtOneBroker())
      const system = (options?: ConnectOptions) =>
        fabric.client({ systemAccountPassword: PASSWORD, ...options })
      const call = async (client: Client, subject: string, name: string, ...args: unknown[]) =>
        await client.request(subject, [name, args])

      test('answers who has the password', async () => {
        const client = system({ extraHeaders: { cookie: 'a=b' } })
        await client.waitUntilReady()
        expect(client.info!.user).toEqual({ hub_id: 'system' })
        const usage = await call(client, 'sys.conat.default', 'usage')
        expect(usage.data).toEqual({ 0: { total: 1, perUser: { '{"hub_id":"system"}': 1 } } })
        const stats = (await call(client, 'sys.conat.default.0', 'stats')).data as any
        expect(Object.values(stats['0'])).toEqual([expect.objectContaining({ user: { hub_id: 'system' } })])
        const topology = (await call(client, 'sys.conat.default.0', 'clusterTopology')).data as any
        const port = fabric.broker.address()?.port
        expect(topology).toEqual({ default: { 0: port ? `http://127.0.0.1:${port}` : null } })
        const addresses = (await call(client, 'sys.conat.default.0', 'clusterAddresses')).data
        expect(addresses).toEqual(port ? [`http://127.0.0.1:${port}`] : [])
      })

      test('disconnects who is named', async () => {
        const [client, victim] = [system(), fabric.client()]
        await victim.waitUntilReady()
        const [id] = Object.values(fabric.broker.sockets).flatMap(({ id, user }) =>
          user === null ? [id] : [],
        )
        const gone = disconnection(victim)
        expect((await call(client, 'sys.conat.default', 'disconnect', [id])).data).toBeNull()
        await gone
        await victim.waitUntilReady()
        expect(Object.keys(fabric.broker.sockets)).not.toContain(id)
      })

      test('says of what it has not, and of nonsense, that it has not', async () => {
        const client = system()
        const unknown = await call(client, 'sys.conat.default', 'clusterTopology')
        expect(unknown.headers).toMatchObject({ error: 'clusterTopology not defined' })
        for (const data of [['__proto__', []], ['constructor', []], null, 5, [{}], ['disconnect', [[7]]]]) {
          expect((await client.request('sys.conat.default.0', data)).headers!.error).toEqual(
            expect.any(String),
          )
        }
      })

      test('is not there for others, who cannot listen in either', async () => {
        const [other, client] = [fabric.client(), system()]
        const tap = await other.subscribe('>')
        const heard: string[] = []
        tap.emitter.on('message', message => heard.push(message.subject))
        const denied = `permission denied publishing to 'sys.conat.default' from null`
        expect(await rejection(call(other, 'sys.conat.default', 'usage'))).toMatchObject({
          code: 403,
          message: denied,
        })
        expect(await rejection(other.subscribe('sys.conat.>'))).toMatchObject({ code: 403 })
        expect(await rejection(client.subscribe('sys.conat.default'))).toMatchObject({ code: 403 })
        await call(client, 'sys.conat.default', 'usage')
        await other.publish('plain', 1)
        await until(() => heard.includes('plain'))
        expect(heard.filter(subject => subject.startsWith('sys.'))).toEqual([])
        tap.close()
      })

      test('refuses a wrong password', async () => {
        for (const password of ['wrong', `${PASSWORD}x`, 's3cret']) {
          const client = fabric.client({ systemAccountPassword: password, reconnection: false })
          expect((await rejection(client.waitUntilSignedIn())).message).toContain(
            'wrong system account password',
          )
        }
      })
    },
    { systemAccountPassword: PASSWORD },
  )
}

test('every broker of a name answers on the common subject, one on its own', async () => {
  const server = init({ port: null, id: 'b7', clusterName: 'main', systemAccountPassword: PASSWORD })
  const client = server.client({ systemAccountPassword: PASSWORD })
  expect((await client.request('sys.conat.main', ['usage', []])).data).toHaveProperty('b7')
  expect((await client.request('sys.conat.main.b7', ['usage', []])).data).toHaveProperty('b7')
  expect(server.options).not.toHaveProperty('systemAccountPassword')
  await client.close()
  await server.close()
})

test('the system accounts are handed to getUser', async () => {
  const seen: unknown[] = []
  const server: ConatServer = init({
    port: null,
    systemAccountPassword: PASSWORD,
    getUser: (_visitor, accounts) => {
      seen.push(accounts)
      return null
    },
  })
  const client = server.client()
  await client.waitUntilReady()
  expect(seen).toEqual([{ sys: { password: PASSWORD, user: { hub_id: 'system' } } }])
  await client.close()
  await server.close()
})

test('the addresses of a server are such as a client connects to', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  const socketPath = join(folder, 'socket')
  for (const [options, wanted, tls] of [
    [{ port: 0, ssl: material('server') }, /^https:\/\/127\.0\.0\.1:\d+$/, { ca: CA }],
    [{ socketPath }, /^unix:\/.*socket$/, {}],
  ] as const) {
    const server = init({ ...options, systemAccountPassword: PASSWORD })
    await server.waitUntilReady()
    const inside = server.client({ systemAccountPassword: PASSWORD })
    const [address] = await sysApi(inside, { id: server.id }).clusterAddresses()
    expect(address).toMatch(wanted)
    const client = connect({ address, noCache: true, systemAccountPassword: PASSWORD, ...tls })
    await client.waitUntilSignedIn({ timeout: 10_000 })
    await Promise.all([client.close(), inside.close()])
    await server.close()
  }
  rmSync(folder, { recursive: true })
})

test('without a password there is no service', async () => {
  const server = init({ port: null })
  const client = server.client()
  expect(await rejection(client.request('sys.conat.default', ['usage', []]))).toMatchObject({ code: 503 })
  await client.close()
  await server.close()
})

test('a password that no cookie can carry is refused, and not shown', () => {
  for (const password of ['', 'a b', 'a;b', 'ü']) {
    for (const make of [
      () => init({ port: null, systemAccountPassword: password }),
      () => connect({ systemAccountPassword: password }),
    ]) {
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    }
  }
})
