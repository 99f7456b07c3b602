// Each option that no other suite of the command uses, and what it changes.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, connect as dial, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, connect, init } from 'selvedge'
import { CA, material } from '../support/certificates'
import { type Command, runCommand } from '../support/command'
import { commandSuite, jsonLines } from '../support/command-suite'
import { ask } from '../support/http'

jest.setTimeout(60_000)

const { env, run, start } = commandSuite()
let folder: string
let client: Client

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
})
afterAll(async () => {
  await client.close()
  rmSync(folder, { recursive: true })
})

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

describe('sub', () => {
  test('--queue shares the messages with others of the group', async () => {
    const both = [1, 2].map(() => start('sub', 'shared', '--queue', 'workers', '--raw'))
    for (const sub of both) await sub.until(/listening/)
    for (let n = 0; n < 20; n++) expect((await client.publish('shared', n)).count).toBe(1)
    for (const sub of both) sub.child.kill('SIGTERM')
    const printed = (await Promise.all(both.map(sub => sub.ended))).flatMap(({ stdout }) =>
      stdout.split('\n').slice(0, -1).map(Number),
    )
    expect(printed.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  test.each([
    [['--headers'], 'n: 1\nname: ann\n[looks] "data"\n'.replace('"data"', 'data')],
    [['--no-subject'], 'data\n'],
    [['--as', 'json'], '[looks] "data"\n'],
  ])('%j', async (options, expected) => {
    const sub = start('sub', 'looks', '--count', '1', ...options)
    await sub.until(/listening/)
    await client.publish('looks', 'data', { headers: { n: 1, name: 'ann' } })
    expect(await sub.ended).toMatchObject({ exit: 0, stdout: expected })
  })
})

test.each(['reply x --exec', 'listen x --exec', 'reply x 1 --queue', 'sub x --queue'])(
  '%s without a value, as an empty variable of a shell has it, is a usage error',
  async line => {
    const { exit, stderr } = await run([...line.split(' '), ''])
    expect([exit, stderr]).toEqual([2, expect.stringContaining('It must not be empty.')])
  },
)

describe('pub', () => {
  test('--sleep goes on after each pause, and a signal ends it within one', async () => {
    const subscription = await client.subscribe('slow')
    expect((await run(['pub', 'slow', 'x', '--count', '3', '--sleep', '1ms'])).exit).toBe(0)
    for (let n = 0; n < 3; n++) expect((await subscription.next()).value!.data).toBe('x')
    const endless = start('pub', 'slow', 'x', '--count', '2', '--sleep', '1h')
    await subscription.next()
    expect((await endless.stop()).exit).toBe(0)
    subscription.close()
  })

  test('--wait publishes when somebody has subscribed', async () => {
    const pub = start('pub', 'patient', 'x', '--wait', '-v')
    await pub.until(/waiting until/)
    const subscription = await client.subscribe('patient')
    expect((await subscription.next()).value!.data).toBe('x')
    expect((await pub.ended).stderr).toMatch(/1 subscriber/)
    subscription.close()
  })
})

describe('requests', () => {
  test('--replies all takes what comes until --max-wait is over', async () => {
    const answers = ['ann', 'bob', 'eve'].map(who => start('reply', 'all', who, '-H', `of:${who}`))
    for (const command of answers) await command.until(/answering on/)
    const { exit, stdout } = await run(['req', 'all', '1', '--replies', 'all', '--max-wait', '2s'])
    expect([exit, stdout.trimEnd().split('\n').sort()]).toEqual([0, ['ann', 'bob', 'eve']])
    const one = await run(['req', 'all', '1', '--headers'])
    expect(one.stdout).toMatch(/^of: (\w+)\n\1\n$/)
  })

  test('reply --queue shares them with others of the group', async () => {
    const both = ['ann', 'bob'].map(who => start('reply', 'queued', who, '--queue', 'workers'))
    for (const command of both) await command.until(/answering on/)
    const { stdout } = await run(['req', 'queued', '1', '--replies', 'all', '--max-wait', '500'])
    expect(stdout).toMatch(/^(ann|bob)\n$/)
  })

  test('reply --exec has the headers in its environment, and at most --parallel programs at once', async () => {
    const told = start('reply', 'told', '--exec', 'printf %s "$SELVEDGE_HEADERS"')
    await told.until(/answering on/)
    const { stdout } = await run(['req', 'told', '1', '-H', 'n:1', '-H', 'text:="$(id)"'])
    expect(JSON.parse(stdout)).toMatchObject({ n: 1, text: '$(id)' })
    // A folder can be made once: who finds it there is not alone.
    const lock = join(folder, 'lock')
    const alone = `mkdir ${lock} || exit 9; sleep 0.05; rmdir ${lock}; echo alone`
    const server = start('reply', 'alone', '--exec', alone, '--parallel', '1')
    await server.until(/answering on/)
    const found = await Promise.all(
      Array.from({ length: 5 }, async () => (await client.request('alone', 1)).data),
    )
    expect(found).toEqual(Array(5).fill('alone'))
  })
})

test('bench --clients has so many pairs at once, --size what they send', async () => {
  const args = ['bench', 'all', '--clients', '3', '--size', '100', '--window', '2', '--duration', '100ms']
  const { exit, stdout } = await run([...args, '--json'])
  expect(exit).toBe(0)
  for (const result of jsonLines(stdout)) {
    expect(result).toMatchObject({ event: 'result', clients: 3, size: 100, messages: expect.any(Number) })
  }
  expect(jsonLines(stdout).map(({ workload }) => workload)).toEqual(['pubsub', 'request', 'socket'])
})

describe('where it connects, and as whom', () => {
  test('--server, then SELVEDGE_SERVER, then CONAT_SERVER; -v says which', async () => {
    const nowhere = 'http://127.0.0.1:1'
    const at = env.SELVEDGE_SERVER!
    const tries: [string[], Record<string, string>, string][] = [
      [['--server', at], { SELVEDGE_SERVER: nowhere, CONAT_SERVER: nowhere }, '--server'],
      [[], { SELVEDGE_SERVER: at, CONAT_SERVER: nowhere }, 'SELVEDGE_SERVER'],
      [[], { SELVEDGE_SERVER: '', CONAT_SERVER: at }, 'CONAT_SERVER'],
    ]
    for (const [args, variables, from] of tries) {
      const { exit, stderr } = await runCommand(['pub', 'a', '1', '-v', ...args], { env: variables })
      expect({ exit, stderr }).toEqual({
        exit: 0,
        stderr: expect.stringContaining(`server ${at} (${from})\n`),
      })
    }
  })

  test('--path is that of the broker', async () => {
    const other = init({ port: 0, path: '/other' })
    await other.waitUntilReady()
    const at = ['--server', String(other.address()).replace(/\/other$/, '')]
    expect((await run(['pub', 'a', '1', ...at, '--path', '/other'])).exit).toBe(0)
    expect((await run(['pub', 'a', '1', ...at])).exit).toBe(3)
    await other.close()
  })

  test('--tls-cert, --tls-key and --tls-ca of a broker; --ca, --cert, --key and --insecure of a client', async () => {
    const ca = file('ca.pem', CA)
    const pair = (name: 'server' | 'client'): [cert: string, key: string] => {
      const { cert, key } = material(name)
      return [file(`${name}.pem`, cert), file(`${name}.key.pem`, key)]
    }
    const [cert, key] = pair('server')
    const [own, ownKey] = pair('client')
    const listening = async (...args: string[]): Promise<string> => {
      const broker = start('broker', '-p', '0', '--tls-cert', cert, '--tls-key', key, ...args)
      return (await broker.until(/listening on (https\S+)/))[1]!
    }
    const exitOf = async (server: string, ...args: string[]): Promise<number | null> =>
      (await run(['pub', 'a', '1', '--server', server, ...args])).exit
    const open = await listening()
    expect(await exitOf(open, '--ca', ca)).toBe(0)
    expect(await exitOf(open, '--insecure')).toBe(0)
    expect(await exitOf(open)).toBe(3)
    const closed = await listening('--tls-ca', ca)
    expect(await exitOf(closed, '--ca', ca, '--cert', own, '--key', ownKey)).toBe(0)
    expect(await exitOf(closed, '--ca', ca)).toBe(3)
  })

  test('--user with a password, --token-file and SELVEDGE_TOKEN; whoever is not let in or may not is 4', async () => {
    const hash = (await run(['passwd'], 'secret\n')).stdout.trim()
    const made = (await run(['token'])).stdout
    const [, token, digest] = /^token +(\S+)\nhash +(\S+)$/m.exec(made)!
    const users = {
      ann: { password: hash, pub: ['open'], sub: ['open'] },
      worker: { token: digest, pub: ['open'] },
    }
    const own = start('broker', '-p', '0', '--users', file('users.jsonc', JSON.stringify({ users })))
    const server = (await own.until(/listening on (\S+)/))[1]!
    const password = file('password', 'secret\n')
    const asAnn = ['--user', 'ann', '--password-file', password]
    const pub = async (subject: string, args: string[], more: Record<string, string> = {}) =>
      runCommand(['pub', subject, '1', '--server', server, ...args], { env: { ...env, ...more } })
    expect((await pub('open', asAnn)).exit).toBe(0)
    expect((await pub('open', ['--token-file', file('token', `${token}\n`)])).exit).toBe(0)
    expect((await pub('open', [], { SELVEDGE_TOKEN: token! })).exit).toBe(0)
    for (const refused of [
      await pub('open', []),
      await pub('open', ['--user', 'ann', '--password-file', file('wrong', 'guess')]),
      await pub('open', [], { SELVEDGE_TOKEN: 'guess' }),
      await pub('closed', asAnn),
      await runCommand(['sub', 'closed', '--server', server, ...asAnn], { env }),
    ]) {
      expect(refused).toMatchObject({ exit: 4, stdout: '' })
      expect(refused.stderr).not.toContain('secret')
    }
  })
})

describe('what a broker shows', () => {
  test('--metrics and --monitor-password-file answer whom they should', async () => {
    const password = file('monitor', 'a-long-password')
    const own = start('broker', '-p', '0', '--metrics', '--monitor-password-file', password)
    const [, url] = await own.until(/listening on (\S+)/)
    const port = Number(new URL(url!).port)
    expect(await ask(port, { path: '/metrics' })).toMatchObject({
      status: 200,
      body: expect.stringContaining('selvedge_broker_connections'),
    })
    const path = '/monitor/api/overview'
    expect((await ask(port, { path })).status).toBe(401)
    const authorization = `Basic ${btoa(':a-long-password')}`
    expect((await ask(port, { path, headers: { authorization } })).status).toBe(200)
  })
})

describe('tunnels', () => {
  let target: ReturnType<typeof createServer>
  const sockets = new Set<Socket>()
  beforeAll(async () => {
    target = createServer(socket => {
      sockets.add(socket.on('error', () => {}))
      socket.write('here')
    }).listen(0, '127.0.0.1')
    await once(target, 'listening')
  })
  afterAll(() => {
    for (const socket of sockets) socket.destroy()
    target.close()
  })

  async function tunnel(...options: string[]): Promise<[forwarded: Command, port: number]> {
    const { port } = target.address() as { port: number }
    const exposed = start('expose', 'limited', String(port), '--drain-deadline', '1h')
    await exposed.until(/exposing/)
    const forwarded = start('forward', 'limited', '0', '--drain-deadline', '1h', ...options)
    const [, at] = await forwarded.until(/^127\.0\.0\.1:(\d+)\n/m)
    return [forwarded, Number(at)]
  }

  test('--max-connections refuses one more', async () => {
    const [, port] = await tunnel('--max-connections', '1')
    const first = dial(port, '127.0.0.1')
    await once(first, 'data')
    const second = dial(port, '127.0.0.1').on('error', () => {})
    let heard = ''
    second.on('data', part => {
      heard += String(part)
    })
    await once(second, 'close')
    expect([heard, first.destroyed]).toEqual(['', false])
    first.destroy()
  })

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a second %s ends at once what drains', async (signal, code) => {
    const [forwarded, port] = await tunnel()
    const socket = dial(port, '127.0.0.1').on('error', () => {})
    await once(socket, 'data')
    forwarded.child.kill(signal)
    await forwarded.until(/draining: 1 connections, at most 3600 s/)
    expect((await forwarded.stop(signal)).exit).toBe(code)
    socket.destroy()
  })
})

test('an error has no stack, but with -vv', async () => {
  const args = ['pub', 'a', '1', '--server', 'http://127.0.0.1:1']
  expect((await run(args)).stderr).not.toMatch(/^ {4}at /m)
  expect((await run([...args, '-v'])).stderr).not.toMatch(/^ {4}at /m)
  expect((await run([...args, '-vv'])).stderr).toMatch(/^ {4}at /m)
})

describe('--json', () => {
  const ONE = { count: 1 }
  const lines: [string, string[], string[]][] = [
    ['pub', ['pub', 'j.pub', '1'], ['published']],
    ['req', ['req', 'j.req', '1'], []],
    ['socket --request', ['socket', 'j.socket', '--request'], []],
    ['socket --lines', ['socket', 'j.socket', '--lines', '--idle', '100'], []],
    ['doctor', ['doctor'], []],
    ['bench', ['bench', 'request', '--duration', '50ms'], ['result']],
    ['broker --check', ['broker', '-p', '0', '--check'], ['checked']],
  ]

  test.each(lines)('each line of %s is an object', async (_name, args, events) => {
    const answers = await client.subscribe('j.req')
    answers.emitter.on('message', message => message.respondSync({ ONE }))
    const server = client.socket.listen('j.socket')
    server.on('connection', socket => {
      socket.on('data', data => socket.write({ data }))
      socket.on('request', message => message.respondSync({ asked: message.data }))
    })
    await server.waitUntilReady()
    const { exit, stdout } = await run([...args, '--json'], 'one\ntwo\n')
    await server.close()
    answers.close()
    const objects = jsonLines(stdout)
    expect(exit).toBe(0)
    expect(objects.length).toBeGreaterThan(0)
    for (const one of objects) expect(one).toBeInstanceOf(Object)
    expect(objects.map(({ event }) => event).filter(event => event !== undefined)).toEqual(
      expect.arrayContaining(events),
    )
  })

  test.each([
    ['sub', ['sub', 'j.>'], ['listening']],
    ['reply', ['reply', 'j.reply', 'x'], ['listening']],
    ['listen', ['listen', 'j.listen', '--echo'], ['listening']],
    ['expose', ['expose', 'j.expose', '1'], ['listening', 'closed']],
    ['forward', ['forward', 'j.forward', '0'], ['listening', 'closed']],
    ['broker', ['broker', '-p', '0'], ['listening', 'draining', 'closed']],
  ])('and of %s, which says so from its begin to its end', async (_name, args, events) => {
    const command = start(...args, '--json')
    await command.until(/.*"listening".*\n/)
    const { exit, stdout } = await command.stop()
    expect(exit).toBe(0)
    expect(jsonLines(stdout).map(({ event }) => event)).toEqual(events)
  })
})
