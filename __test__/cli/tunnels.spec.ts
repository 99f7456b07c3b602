// `selvedge expose --share`, and what a gateway says about its upstream.
import { type ConatServer, init } from 'selvedge'
import { Command } from '../support/command'
import { describeNats, freePorts, NatsServer } from '../support/nats'

jest.setTimeout(60_000)

const running: Command[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(command => command.stop('SIGKILL')))
})

function start(env: Record<string, string>, ...args: string[]): Command {
  const command = new Command(args, env)
  running.push(command)
  return command
}

describe('expose', () => {
  let broker: ConatServer
  beforeAll(async () => {
    broker = init({ port: 0 })
    await broker.waitUntilReady()
  })
  afterAll(() => broker.close())

  test('with --share shares a subject; without it, it says how', async () => {
    const env = { SELVEDGE_SERVER: String(broker.address()) }
    const first = start(env, 'expose', 'db', '1', '--share')
    await first.until(/exposing/)
    const second = start(env, 'expose', 'db', '1', '--share')
    await second.until(/exposing/)
    const { exit, stderr } = await start(env, 'expose', 'db', '1').ended
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: expect.stringMatching(/EADDRINUSE[\s\S]*--share/) })
    expect((await second.stop()).exit).toBe(0)
    expect((await first.stop()).exit).toBe(0)
  })
})

describeNats('a gateway', () => {
  test('says that its upstream is away, with why, and that it is there, each once', async () => {
    const server = new NatsServer()
    server.port = (await freePorts(1))[0]!
    const gateway = start({}, 'broker', '-p', '0', '--upstream', server.address)
    await gateway.until(/upstream: away: .*\(ECONNREFUSED\)/)
    await server.start()
    await gateway.until(/upstream: ready/)
    await server.close()
    await gateway.until(/upstream: ready[\s\S]*upstream: away/)
    const { stderr } = await gateway.stop()
    expect(stderr.match(/upstream: \w+/g)).toEqual(['upstream: away', 'upstream: ready', 'upstream: away'])
  })
})
