// The permissions of SECURITY.md for NATS behind gateways: gateways have what they need, and nobody else hears or says it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, connect } from 'selvedge'
import { endAll, Party } from '../faults/party'
import { until } from '../support/events'
import { describeNats, NatsServer } from '../support/nats'

const SECURITY = readFileSync(join(__dirname, '..', '..', 'SECURITY.md'), 'utf8')
const CONFIG = /```text\n(authorization \{[\s\S]*?\n\})\n```/.exec(SECURITY)![1]!
/** Of the two seconds after which a killed gateway is missed. */
const SOON = 6000

describeNats('NATS with the permissions of SECURITY.md', () => {
  const server = new NatsServer(CONFIG.replace(/\$\w+_PASSWORD/g, 'secret'))
  const clients: Client[] = []
  beforeAll(() => server.start())
  afterAll(() => server.close())
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await endAll()
  })

  const addressOf = (user: string): string => server.address.replace('//', `//${user}:secret@`)

  async function at(address: string): Promise<Client> {
    const client = connect({ address, noCache: true })
    clients.push(client)
    await client.waitUntilReady()
    return client
  }

  test('lets a program do what it likes but speak as a gateway, and hear them', async () => {
    const program = await at(addressOf('program'))
    await program.subscribe('news')
    expect((await program.publish('news', 1)).count).toBe(1)
    for (const subject of ['_SV.gateways', '_SV.gateway.x']) {
      await expect(program.publish(subject, { from: 'x', last: true })).rejects.toMatchObject({ code: 403 })
      await expect(program.subscribe(subject)).rejects.toMatchObject({ code: 403 })
    }
    await expect(program.subscribe('_SV.>')).rejects.toMatchObject({ code: 403 })
  })

  test('does not let a wide subscription hear them', async () => {
    const program = await at(addressOf('program'))
    const heard: string[] = []
    const all = await program.subscribe('>')
    all.emitter.on('message', ({ subject }) => heard.push(subject))
    const words = await (await at(addressOf('gateway'))).subscribe('_SV.>')
    await Promise.all([1, 2].map(() => Party.broker(0, { upstream: addressOf('gateway') })))
    for (let n = 0; n < 6; n++) await words.next()
    // What a server of NATS gives to one client is in the order in which it came to it.
    await program.publish('news', 1)
    await until(() => heard.includes('news'))
    expect(heard.filter(subject => subject.startsWith('_SV'))).toEqual([])
  })

  test('gives gateways what they need to miss one that is killed', async () => {
    const gateways = await Promise.all([1, 2].map(() => Party.broker(0, { upstream: addressOf('gateway') })))
    const [member, caller] = await Promise.all(gateways.map(({ port }) => at(`http://127.0.0.1:${port}`)))
    let isAsked: () => void = () => {}
    const asked = new Promise<void>(resolve => (isAsked = resolve))
    const wait = (): Promise<void> => {
      isAsked()
      return new Promise(() => {})
    }
    await member!.service('work', { wait })
    const call = caller!
      .call<{ wait(): Promise<void> }>('work', { waitForInterest: true, timeout: 60_000 })
      .wait()
    call.catch(() => {})
    await asked
    const since = Date.now()
    await gateways[0]!.party.kill()
    await expect(call).rejects.toMatchObject({ code: 'EPIPE' })
    expect(Date.now() - since).toBeLessThan(SOON)
  })
})
