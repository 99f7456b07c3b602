// Users with JWTs against an operator's server: clients, and gateways.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ConnectOptions, connect, init } from 'selvedge'
import { until } from '../support/events'
import { rejection } from '../support/messages'
import { describeNats, NatsServer } from '../support/nats'
import { Operator } from '../support/nats-operator'

describeNats('an operator of NATS', () => {
  const operator = new Operator()
  const server = new NatsServer(operator.config)
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-creds-'))
  const clients: Client[] = []
  beforeAll(() => server.start())
  afterEach(() => Promise.all(clients.splice(0).map(client => client.close())))
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })

  function client(options: ConnectOptions): Client {
    const made = connect({ address: server.address, noCache: true, reconnectionDelay: 5, ...options })
    clients.push(made)
    return made
  }

  test('lets its users in, by the text of their credentials or by a file', async () => {
    const file = join(folder, 'user.creds')
    writeFileSync(file, operator.user())
    const [byText, byFile] = [client({ credentials: operator.user() }), client({ credentials: file })]
    await byText.subscribe('a')
    await byFile.waitUntilReady()
    expect((await byFile.publish('a', 1)).count).toBe(1)
  })

  test('refuses those of another operator, and those whose time is over, and reads a file again', async () => {
    const stranger = client({ credentials: new Operator().user() })
    expect(await rejection(stranger.waitUntilReady())).toMatchObject({ code: 'ERR_SIGN_IN' })
    const file = join(folder, 'renewed.creds')
    writeFileSync(file, operator.user({ exp: Math.floor(Date.now() / 1000) - 10 }))
    const late = client({ credentials: file })
    const error = await rejection(late.waitUntilReady())
    expect(error).toMatchObject({ code: 'ERR_SIGN_IN' })
    expect(`${error.message}${error.stack}`).not.toMatch(/SU[A-Z0-9]{50}|eyJ/)
    writeFileSync(file, operator.user())
    const isReady = () =>
      late.waitUntilReady().then(
        () => true,
        () => false,
      )
    await until(isReady)
  })

  test('lets a gateway in', async () => {
    const broker = init({ port: null, upstream: { address: server.address, credentials: operator.user() } })
    await broker.waitUntilReady()
    expect(JSON.stringify(broker.options)).not.toContain('eyJ')
    await client({ credentials: operator.user() }).subscribe('far')
    const inside = broker.client()
    expect(await inside.waitForInterest('far')).toBe(true)
    expect((await inside.publish('far', 1)).count).toBe(1)
    await inside.close()
    await broker.close()
  })
})
