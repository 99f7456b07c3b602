// `selvedge expose --share`, and what a gateway says about its upstream.
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
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

describe('connections that are not made', () => {
  let broker: ConatServer
  let target: Server
  beforeAll(async () => {
    broker = init({ port: 0 })
    await broker.waitUntilReady()
  })
  afterAll(() => broker.close())
  afterEach(() => target.close())

  test('are told of on both sides with why, and that they are made again, once a change', async () => {
    const env = { SELVEDGE_SERVER: String(broker.address()) }
    const [port] = await freePorts(1)
    const forwarded = start(env, 'forward', 'db', '0')
    const [, at] = await forwarded.until(/127\.0\.0\.1:(\d+)\n/)
    const attempt = async (): Promise<string> => {
      const socket = connect(Number(at), '127.0.0.1')
      socket.on('error', () => {})
      let text = ''
      socket.on('data', part => (text += String(part)))
      await new Promise(resolve => socket.once('close', resolve))
      return text
    }
    await attempt()
    await forwarded.until(/no connection to db: nobody exposes it\n/)
    await attempt()
    const exposed = start(env, 'expose', 'db', String(port))
    await exposed.until(/exposing/)
    await attempt()
    await exposed.until(/no connection to 127\.0\.0\.1:\d+: connect ECONNREFUSED/)
    // Another cause with the same code.
    await forwarded.until(/no connection to db: what is exposed there refuses/)
    await attempt()
    target = createServer(socket => socket.end('rows')).listen(port, '127.0.0.1')
    await once(target, 'listening')
    for (let round = 0; round < 2; round += 1) expect(await attempt()).toBe('rows')
    const [there, here] = [await exposed.stop(), await forwarded.stop()]
    const told = (text: string): string[] => text.match(/^(?:no connection|connected) .*$/gm) ?? []
    expect(told(here.stderr)).toEqual([
      'no connection to db: nobody exposes it',
      expect.stringMatching(/^no connection to db: what is exposed there refuses/),
      'connected to db',
    ])
    expect(told(there.stderr)).toEqual([
      `no connection to 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
      `connected to 127.0.0.1:${port}`,
    ])
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
