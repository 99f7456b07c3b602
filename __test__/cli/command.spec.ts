// The command as people use it: in processes, with exit codes, pipes and signals.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConatServer, init } from 'selvedge'
import { Command, type Ended, runCommand } from '../support/command'

jest.setTimeout(60_000)

let broker: ConatServer
let env: Record<string, string>
const running: Command[] = []

beforeAll(async () => {
  broker = init({ port: 0 })
  await broker.waitUntilReady()
  env = { SELVEDGE_SERVER: String(broker.address()) }
})

afterEach(async () => {
  await Promise.all(running.splice(0).map(command => command.stop('SIGKILL')))
})

afterAll(() => broker.close())

function start(...args: string[]): Command {
  const command = new Command(args, env)
  running.push(command)
  return command
}

const run = (args: string[], input: string | Buffer = ''): Promise<Ended> => runCommand(args, { env, input })

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
}

describe('wrong use ends with 2 and says what is right', () => {
  test.each<[string[], RegExp]>([
    [[], /Commands:/],
    [['sbu'], /Did you mean sub\?/],
    [['sub'], /missing required argument 'pattern'/],
    [['sub', 'a', '--cuont', '2'], /Did you mean --count\?/],
    [['broker', '-p', '70000'], /port from 0 to 65535/],
    [['broker', '-p', 'x'], /port from 0 to 65535/],
    [['broker', '--tls-cert', 'x.pem'], /--tls-cert and --tls-key go together/],
    [['pub', 'a b', '1'], /selvedge: .*ERR_INVALID_SUBJECT/],
    [['pub', 'a.*', '1'], /selvedge: .*ERR_INVALID_SUBJECT/],
    [['pub', '', '1'], /selvedge: .*ERR_INVALID_SUBJECT/],
    [['pub', 'a', '{', '--as', 'json'], /the payload is no JSON/],
    [['pub', 'a', '1', '-H', 'none'], /NAME:VALUE/],
    [['pub', 'a', '1', '-H', 'CN-Reply:x'], /reserved/],
    [['req', 'a', '1', '-t', 'soon'], /such as 500, 5s or 2m/],
    [['reply', 'a'], /give DATA, --echo or --exec/],
    [['reply', 'a', 'x', '--echo'], /one of them/],
    [['forward', 'a', 'host:port'], /PORT, HOST:PORT or a path/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
    [['token', '--bytes', '4'], /can be guessed/],
  ])('selvedge %j', async (args, text) => {
    const { exit, stdout, stderr } = await run(args)
    expect(stderr).toMatch(text)
    expect(stderr).not.toMatch(/^ {4}at /m)
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
  })
})

describe('messages', () => {
  test('are printed with their subjects, until there were enough', async () => {
    const sub = start('sub', 'orders.*', '--count', '2')
    await sub.until(/listening on/)
    const first = await run(['pub', 'orders.new', '{"id":1}'])
    expect(first.stderr).toBe('published 5 bytes to orders.new, 1 subscriber\n')
    await run(['pub', 'orders.old', 'as text'])
    expect(await sub.ended).toMatchObject({
      exit: 0,
      stdout: '[orders.new] {"id":1}\n[orders.old] as text\n',
    })
  })

  test('are JSON lines, bytes and headers included', async () => {
    const sub = start('sub', 'a.>', '--json', '--count', '3')
    await sub.until(/listening/)
    await run(['pub', 'a.b', '[1,null]', '-H', 'n:1', '-H', 'text:="5"'])
    await run(['pub', 'a.c', '--as', 'bytes'], Buffer.from([0, 255]))
    await run(['pub', 'a.d', '--as', 'msgpack'], Buffer.from([0xc1]))
    const [listening, one, two, three] = jsonLines((await sub.ended).stdout)
    expect(listening).toEqual({ event: 'listening', patterns: ['a.>'] })
    expect(one).toMatchObject({ subject: 'a.b', data: [1, null], headers: { n: 1, text: '5' }, bytes: 3 })
    expect(two).toMatchObject({ subject: 'a.c', data: null, base64: 'AP8=' })
    expect(three).toMatchObject({ subject: 'a.d', data: null, base64: 'wQ==', error: 'ERR_DECODE' })
  })

  test('come from lines, and whoever prints them may stop', async () => {
    const sub = start('sub', 'n', '--raw', '--idle', '10s', '--count', '3')
    await sub.until(/listening/)
    const { stderr } = await run(['pub', 'n', '--lines'], '1\ntwo\n\u00e4')
    expect(stderr).toMatch('published 3 messages')
    expect((await sub.ended).stdout).toBe('1\ntwo\n\u00e4\n')
  })

  test('that nobody receives are a failure only if that is asked for', async () => {
    expect((await run(['pub', 'nobody', '1'])).exit).toBe(0)
    expect(await run(['pub', 'nobody', '1', '--require'])).toMatchObject({ exit: 5 })
  })

  test('a reader that goes away ends it in silence', async () => {
    const sub = start('sub', 'many', '--raw')
    await sub.until(/listening/)
    sub.child.stdout.destroy()
    await run(['pub', 'many', 'x', '--count', '50'])
    const { exit, stderr } = await sub.ended
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: 'listening on many\n' })
  })
})

describe('requests', () => {
  test('nobody there is 5, too late is 6, no broker is 3', async () => {
    expect(await run(['req', 'nobody.there', 'hi'])).toEqual({
      exit: 5,
      stdout: '',
      stderr: "selvedge: nobody listens on 'nobody.there' (503)\n  try: selvedge reply nobody.there --echo\n",
    })
    const silent = start('sub', 'silent')
    await silent.until(/listening/)
    expect((await run(['req', 'silent', '1', '-t', '300'])).exit).toBe(6)
    const gone = await runCommand(['req', 'a', '1', '--server', 'http://127.0.0.1:1'])
    expect(gone).toMatchObject({ exit: 3, stdout: '' })
    expect(gone.stderr).toMatch(/no connection to http:\/\/127.0.0.1:1.*ECONNREFUSED/)
  })

  test('are answered with their payload, with a text, and by a program', async () => {
    const echo = start('reply', 'echo', '--echo', '--count', '1')
    const fixed = start('reply', 'time', '"noon"')
    const square = start('reply', 'square', '--exec', 'read n; echo $((n * n))')
    const failing = start('reply', 'failing', '--exec', 'echo "no such order" >&2; exit 3')
    for (const command of [echo, fixed, square, failing]) await command.until(/answering on/)
    expect((await run(['req', 'echo', '{"a":[1]}'])).stdout).toBe('{"a":[1]}\n')
    expect((await run(['req', 'time'])).stdout).toBe('noon\n')
    expect((await run(['req', 'square', '12'])).stdout).toBe('144\n')
    expect(await run(['req', 'failing', '1'])).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('selvedge: no such order'),
    })
    expect((await echo.ended).exit).toBe(0)
    expect((await square.stop()).exit).toBe(0)
  })

  test('a program that hangs is killed, with all that it started', async () => {
    const hanging = start('reply', 'hang', '--exec', 'sleep 1000 & sleep 1000', '-t', '300')
    await hanging.until(/answering on/)
    expect((await run(['req', 'hang', '1'])).stderr).toMatch(/longer than 300 ms/)
    expect((await hanging.stop()).exit).toBe(0)
  })

  test('the subject is data for a program, not a command', async () => {
    const careful = start('reply', 'x.>', '--exec', 'printf %s "$SELVEDGE_SUBJECT"')
    await careful.until(/answering on/)
    expect((await run(['req', 'x.$(id)', '1'])).stdout).toBe('x.$(id)\n')
  })

  test('several answers', async () => {
    const both = [start('reply', 'who', 'ann'), start('reply', 'who', 'bob')]
    for (const command of both) await command.until(/answering on/)
    const { stdout } = await run(['req', 'who', '1', '--replies', '2'])
    expect(stdout.trimEnd().split('\n').sort()).toEqual(['ann', 'bob'])
  })
})

describe('sockets', () => {
  test('lines go both ways', async () => {
    const server = start('listen', 'chat', '--echo')
    await server.until(/listening on/)
    const client = start('socket', 'chat', '--lines')
    client.child.stdin.write('one\ntwo\n')
    await client.until(/one\ntwo\n/)
    client.child.stdin.end()
    expect(await client.ended).toMatchObject({ exit: 0, stdout: 'one\ntwo\n' })
    expect((await server.stop()).exit).toBe(0)
  })

  test('bytes arrive whole', async () => {
    const server = start('listen', 'backup')
    await server.until(/listening on/)
    const data = randomBytes(8 * 1024 * 1024)
    const { exit, stderr } = await run(['socket', 'backup'], data)
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    expect((await server.ended).exit).toBe(0)
    expect(hash(Buffer.concat(server.output))).toBe(hash(data))
  })

  test('a peer that writes values where bytes are wanted is told of, and is 7', async () => {
    const client = broker.client()
    const server = client.socket.listen('values')
    server.on('connection', socket => socket.write({ a: 1 }))
    await server.waitUntilReady()
    const { exit, stderr } = await run(['socket', 'values', '--bytes'], 'hello')
    expect({ exit, stderr }).toEqual({
      exit: 7,
      stderr: expect.stringMatching(/ERR_INVALID_ARG_TYPE[\s\S]*--lines/),
    })
    await client.close()
  })

  test('nobody there is 5; a peer that is killed is 7', async () => {
    expect((await run(['socket', 'nobody'])).exit).toBe(5)
    const server = start('listen', 'doomed', '--echo')
    await server.until(/listening on/)
    const client = start('socket', 'doomed', '--lines', '--resume', '500')
    client.child.stdin.write('one\n')
    await client.until(/one/)
    await server.stop('SIGKILL')
    const { exit, stderr } = await client.ended
    expect({ exit, stderr }).toEqual({ exit: 7, stderr: expect.stringMatching(/^selvedge: .*ERR_SOCKET/) })
  })
})

test('a TCP server is reached through expose and forward', async () => {
  const target = net.createServer(socket => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(target, 'listening')
  const exposed = start('expose', 'echo.tcp', String((target.address() as AddressInfo).port))
  await exposed.until(/exposing/)
  const forwarded = start('forward', 'echo.tcp', '0')
  const [, port] = await forwarded.until(/127\.0\.0\.1:(\d+)\n/)
  const socket = net.connect(Number(port), '127.0.0.1')
  socket.write('through it all')
  const [echoed] = (await once(socket, 'data')) as [Buffer]
  expect(echoed.toString()).toBe('through it all')
  socket.end()
  await once(socket, 'close')
  expect((await forwarded.stop()).exit).toBe(0)
  expect((await exposed.stop()).exit).toBe(0)
  target.close()
})

describe('the broker', () => {
  test('says where it is, and ends in order', async () => {
    const own = start('broker', '-p', '0', '--json')
    const [line] = await own.until(/.*"listening".*\n/)
    const { url, pid } = JSON.parse(line) as { url: string; pid: number }
    expect(pid).toBe(own.child.pid)
    const sub = start('sub', 'a', '--server', url)
    await sub.until(/listening/)
    const { exit, stdout } = await own.stop()
    expect(exit).toBe(0)
    expect(jsonLines(stdout).map(({ event }) => event)).toEqual(['listening', 'draining', 'closed'])
    await sub.until(/disconnected \(/)
    expect((await sub.stop()).exit).toBe(0)
  })

  test('a port that is taken is 1, with who to ask', async () => {
    const { port } = broker.address()!
    const { exit, stderr } = await run(['broker', '-p', String(port)])
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: expect.stringMatching(/EADDRINUSE[\s\S]*ss -ltnp/) })
  })

  test('--check says what it would do', async () => {
    expect(await run(['broker', '--check', '-p', '4000'])).toMatchObject({
      exit: 0,
      stdout: 'would listen on http://127.0.0.1:4000\n',
    })
  })

  test('--check shows the settings and none of the secrets', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const config = file(
      'broker.jsonc',
      JSON.stringify({
        port: 4000,
        ssl: { certFile: 'cert.pem', keyFile: 'key.pem', passphrase: 's3cret-passphrase' },
        metrics: { tokenFile: 'token' },
        monitor: { passwordFile: 'monitor' },
        upstream: { address: 'nats://ann:s3cret-address@a,nats://b', user: 'ann', password: 's3cret-nats' },
      }),
    )
    for (const name of ['cert.pem', 'key.pem', 'token', 'monitor', 'system']) file(name, `s3cret-${name}`)
    const args = ['broker', '--check', '-c', config, '--system-password-file', join(folder, 'system')]
    const asLine = await run(args)
    const asJson = await run([...args, '--json'])
    expect(asLine).toEqual({ exit: 0, stdout: 'would listen on https://127.0.0.1:4000\n', stderr: '' })
    expect(jsonLines(asJson.stdout)).toEqual([
      {
        event: 'checked',
        port: 4000,
        host: '127.0.0.1',
        tls: true,
        metrics: true,
        monitor: true,
        systemAccount: true,
        upstream: ['nats://a,nats://b'],
      },
    ])
    expect(asJson.stdout + asJson.stderr).not.toContain('s3cret')
    rmSync(folder, { recursive: true })
  })
})

describe('the config file of a broker', () => {
  let folder: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const variable = (name: string): string => `$\{${name}}`
  const check = (text: string, ...args: string[]): Promise<Ended> => {
    const path = join(folder, 'broker.jsonc')
    writeFileSync(path, text)
    return run(['broker', '--check', '-c', path, ...args])
  }

  test('has comments and variables; arguments win', async () => {
    const text = `{ // where\n "port": 4001, "host": "${variable('SELVEDGE_TEST_HOST')}", }`
    env.SELVEDGE_TEST_HOST = '127.0.0.2'
    expect((await check(text)).stdout).toBe('would listen on http://127.0.0.2:4001\n')
    expect((await check(text, '-p', '4002')).stdout).toBe('would listen on http://127.0.0.2:4002\n')
  })

  test.each<[string, string, RegExp]>([
    ['no JSON', '{\n  "port" 1}', /broker\.jsonc:2:\d+: not JSON: ColonExpected/],
    ['no object', '[]', /1:1: the file must be an object/],
    ['an unknown key', '{\n "prot": 1 }', /2:2: unknown key 'prot'; did you mean 'port'\?/],
    [
      'an unknown key inside',
      '{ "ssl": { "certfile": "x" } }',
      /unknown key 'ssl\.certfile'; did you mean 'certFile'/,
    ],
    ['a key twice', '{ "port": 1, "port": 2 }', /'port' is there twice/],
    [
      'an undefined variable',
      `{ "host": "${variable('SELVEDGE_NOWHERE')}" }`,
      /the environment has no SELVEDGE_NOWHERE/,
    ],
    ['a missing file', '{ "ssl": { "certFile": "none.pem" } }', /cannot read ssl\.certFile: ENOENT/],
    ['a list for an object', '{ "drain": [] }', /drain must be an object/],
    ['a file without end', `"${'x'.repeat(1 << 20)}"`, /it has more than 1 MiB/],
  ])('%s is 2', async (_, text, complaint) => {
    const { exit, stderr } = await check(text)
    expect(stderr).toMatch(complaint)
    expect(exit).toBe(2)
  })

  test('a folder, or nothing, is 2', async () => {
    expect(await run(['broker', '-c', folder])).toMatchObject({ exit: 2 })
    expect(await run(['broker', '-c', join(folder, 'none')])).toMatchObject({ exit: 2 })
  })
})

describe('doctor', () => {
  test('finds nothing wrong with a broker that works', async () => {
    const { exit, stdout } = await run(['doctor', '--json', '--subject', 'a.b'])
    const findings = jsonLines(stdout)
    expect(findings.filter(({ level }) => level === 'FAIL')).toEqual([])
    expect(exit).toBe(0)
  })

  test.each<[string, string, RegExp]>([
    ['nothing there', 'http://127.0.0.1:1', /FAIL +tcp +ECONNREFUSED .*selvedge broker/],
    ['no URL', 'nonsense', /FAIL +address +'nonsense' is no URL/],
    ['another scheme', 'ftp://127.0.0.1', /FAIL +address .*unknown scheme 'ftp'/],
    ['an unknown host', 'http://nowhere.invalid', /FAIL +dns +'nowhere.invalid' is not known/],
  ])('%s', async (_, server, text) => {
    const { exit, stdout } = await run(['doctor', '--server', server])
    expect(stdout).toMatch(text)
    expect(exit).toBe(8)
  })

  test('tells what is used of the limits, to whoever may know', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    const [path, config] = [join(folder, 'password'), join(folder, 'broker.jsonc')]
    writeFileSync(path, 'a-long-password')
    writeFileSync(config, JSON.stringify({ maxConnections: 3 }))
    const own = start('broker', '-p', '0', '-c', config, '--system-password-file', path)
    const [, url] = await own.until(/listening on (\S+)/)
    const limits = async (...more: string[]): Promise<unknown[]> => {
      const { stdout } = await run(['doctor', '--server', url!, '--json', ...more])
      const found = jsonLines(stdout).filter(({ check }) => check === 'limits')
      return found.map(({ level, text }) => [level, text])
    }
    const payload = ['ok', expect.stringMatching(/^8.0MB a message in one piece/)]
    expect(await limits()).toEqual([payload])
    const sub = start('sub', 'a', '--server', url!)
    await sub.until(/listening/)
    expect(await limits('--system-password-file', path)).toEqual([
      payload,
      ['warn', '3 of 3 connections'],
      ['ok', expect.stringMatching(/^\S+B of 2.1GB memory$/)],
    ])
    rmSync(folder, { recursive: true })
  })

  test('tells what may be done on a subject, and what carries the connection', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    const path = join(folder, 'users.jsonc')
    writeFileSync(path, JSON.stringify({ users: { nobody: { anonymous: true, connect: ['chat.*'] } } }))
    const own = start('broker', '-p', '0', '--users', path)
    const [, url] = await own.until(/listening on (\S+)/)
    const { stdout } = await run(['doctor', '--server', url!, '--subject', 'chat.eu', '--json'])
    const findings = jsonLines(stdout)
    const told = findings
      .filter(({ check }) => check === 'permissions')
      .map(({ level, text }) => [level, text])
    expect(told).toEqual([
      ['warn', expect.stringContaining(`may not publish to 'chat.eu'`)],
      ['warn', expect.stringContaining(`may not subscribe to 'chat.eu'`)],
      ['warn', expect.stringContaining(`may not listen on 'chat.eu'`)],
      ['ok', `may connect to 'chat.eu'`],
    ])
    expect(findings.find(({ check }) => check === 'wire')).toMatchObject({ text: 'the fabric protocol' })
    rmSync(folder, { recursive: true })
  })

  test('something that is no broker', async () => {
    const other = net
      .createServer(socket => socket.on('error', () => {}).end('220 mail.example\r\n'))
      .listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { exit, stdout } = await run(['doctor', '--server', `http://127.0.0.1:${port}`, '-t', '3s'])
    expect(stdout).toMatch(/FAIL +signin .*→ something answers there that is no broker/)
    expect(exit).toBe(8)
    other.close()
  })
})

test('passwd and token print what a users file keeps', async () => {
  expect((await run(['passwd'], 'secret\n')).stdout).toMatch(/^scrypt\$16384\$8\$1\$[\w-]{22}\$[\w-]{43}\n$/)
  expect((await run(['token'])).stdout).toMatch(/^token {2}[\w-]{32}\nhash {3}sha256\$[\w-]{43}\n$/)
})

test.each(['bash', 'zsh', 'fish'])('completion for %s names every subcommand', async shell => {
  const { stdout } = await run(['completion', shell])
  for (const name of ['broker', 'pub', 'doctor', '--drain-deadline']) {
    expect(stdout).toContain(name.replace('--', shell === 'fish' ? '-l ' : '--'))
  }
})

test('bench prints a line for each workload', async () => {
  const { exit, stdout } = await run(['bench', '--duration', '200ms', '--json'])
  expect(exit).toBe(0)
  const results = jsonLines(stdout)
  expect(results.map(({ workload }) => workload)).toEqual(['pubsub', 'request', 'socket'])
  for (const { messages } of results) expect(messages).toBeGreaterThan(0)
})

function hash(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
