// The command as people use it: in processes, with exit codes, pipes and signals.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { connect } from 'selvedge'
import { runCommand } from '../support/command'
import { commandSuite, jsonLines } from '../support/command-suite'
import { freePorts } from '../support/nats'

jest.setTimeout(60_000)

const { env, run, start } = commandSuite()

describe('wrong use ends with 2 and says what is right', () => {
  test.each<[string[], RegExp]>([
    [[], /Commands:/],
    [['sbu'], /Did you mean sub\?/],
    [['sub'], /missing required argument 'pattern'/],
    [['sub', 'a', '--cuont', '2'], /Did you mean --count\?/],
    [['broker', '-p', '70000'], /port from 0 to 65535/],
    [['broker', '-p', 'x'], /port from 0 to 65535/],
    [['broker', '--name', 'a.b'], /one token of a subject/],
    [['broker', '--tls-cert', 'x.pem'], /--tls-cert and --tls-key go together/],
    [['pub', 'a b', '1'], /selvedge: .*ERR_INVALID_SUBJECT/],
    [['pub', 'a.*', '1'], /selvedge: .*ERR_INVALID_SUBJECT/],
    [['pub', '', '1'], /selvedge: .*ERR_INVALID_SUBJECT/],
    [['pub', 'a', '{"a"\n 1}', '--as', 'json'], /the payload is no JSON: 2:2: a colon is missing/],
    [['pub', 'a', '1', '-H', 'none'], /NAME:VALUE/],
    [['pub', 'a', '1', '-H', 'CN-Reply:x'], /reserved/],
    [['req', 'a', '1', '-t', 'soon'], /such as 500, 5s or 2m/],
    [['req', 'a', '1', '-t', '999999999999'], /at most 24 days/],
    [['req', 'a', '1', '-t', '0'], /must be more than 0/],
    [['broker', '--drain-deadline', '0'], /must be more than 0/],
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

  test('come whole from lines that come in parts, whatever ends them', async () => {
    const [long, count] = ['x'.repeat(3_000_000), 4]
    const sub = start('sub', 'parts', '--json', '--idle', '10s', '--count', String(count))
    await sub.until(/listening/)
    await run(['pub', 'parts', '--lines'], `${long}\n\nwindows\r\nlast`)
    const [, ...messages] = jsonLines((await sub.ended).stdout)
    expect(messages.map(({ data }) => data)).toEqual([long, '', 'windows', 'last'])
  })

  test.each<[string[], string, RegExp, number]>([
    [
      ['--as', 'json'],
      '1\n2\n{\n4\n',
      /^selvedge: line 3: the payload is no JSON: .*; 2 lines were published before\n/,
      2,
    ],
    [
      ['--require'],
      '1\n',
      /^selvedge: line 1: nobody listens .*; 0 lines were published before \(503\)\n/,
      5,
    ],
  ])('of which one fails say how many were published: %j', async (args, input, complaint, code) => {
    const { exit, stderr } = await run(['pub', 'lines', '--lines', ...args], input)
    expect(stderr).toMatch(complaint)
    expect(exit).toBe(code)
  })

  test('whose broker is gone say how many were published', async () => {
    const broker = start('broker', '-p', '0')
    const [, url] = await broker.until(/listening on (\S+)/)
    const pub = start('pub', 'lines', '--lines', '--server', url!, '-t', '500', '--json')
    pub.child.stdin.write('1\n2\n')
    await pub.until(/published[\s\S]*published/)
    await broker.stop('SIGKILL')
    await pub.until(/disconnected/)
    pub.child.stdin.write('3\n')
    const { exit, stderr } = await pub.ended
    expect(stderr).toMatch(/selvedge: line 3: .*; 2 lines were published before \(\w+\)\n$/)
    expect(exit).toBe(6)
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

describe('a broker that is full', () => {
  test('is told of as that, is no refusal of who asks, and is waited for with --retry', async () => {
    const own = start('broker', '-p', '0', '--max-connections', '1')
    const [, url] = await own.until(/listening on (\S+)/)
    const first = start('sub', 'a', '--server', url!)
    await first.until(/listening/)
    const { exit, stderr } = await run(['pub', 'a', '1', '--server', url!])
    expect(stderr).toMatch(
      /^selvedge: no connection to \S+: .*at most 1 connections \(429\)\n {2}try: selvedge doctor/,
    )
    expect(exit).toBe(3)
    const patient = start('pub', 'a', '1', '--server', url!, '--retry')
    const { stdout } = await run(['doctor', '--server', url!])
    expect(stdout).toMatch(/FAIL +signin .*at most 1 connections \(429\) +→ raise maxConnections/)
    expect(patient.child.exitCode).toBe(null)
    await first.stop()
    expect(await patient.ended).toMatchObject({
      exit: 0,
      stderr: expect.stringMatching(/^published 1 bytes/m),
    })
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
    const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
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

  test.each([
    ['listen', 'socket'],
    ['socket', 'listen'],
  ])('%s with an empty stdin receives until the other side ends', async (receives, sends) => {
    for (const form of ['--bytes', '--lines']) {
      const subject = `${receives}-${form.slice(2)}`
      const text = `${'x'.repeat(999)}\n`.repeat(2000)
      const first = start('listen', subject, form)
      if (receives === 'listen') first.child.stdin.end()
      await first.until(/listening on/)
      const second = start('socket', subject, form)
      const [receiver, sender] = receives === 'listen' ? [first, second] : [second, first]
      receiver.child.stdin.end()
      sender.child.stdin.end(text)
      const [received, sent] = await Promise.all([receiver.ended, sender.ended])
      expect([received.exit, sent.exit, sends]).toEqual([0, 0, sends])
      expect(received.stdout.length).toBe(text.length)
    }
  })

  test('goes on over the restart of its broker', async () => {
    const [port] = await freePorts(1)
    const at = ['--server', `http://127.0.0.1:${port}`]
    let broker = start('broker', '-p', String(port))
    await broker.until(/listening on/)
    const server = start('listen', 'kept', '--echo', ...at)
    await server.until(/listening on/)
    const client = start('socket', 'kept', '--lines', ...at)
    client.child.stdin.write('one\n')
    await client.until(/one/)
    await broker.stop('SIGKILL')
    await client.until(/disconnected/)
    client.child.stdin.write('two\n')
    broker = start('broker', '-p', String(port))
    await client.until(/two/)
    client.child.stdin.end()
    expect(await client.ended).toMatchObject({ exit: 0, stdout: 'one\ntwo\n' })
    expect((await server.stop()).exit).toBe(0)
    await broker.stop()
  })

  test('64 MiB arrive whole while its broker is killed and starts again', async () => {
    const [port] = await freePorts(1)
    const at = ['--server', `http://127.0.0.1:${port}`, '--resume', '30s']
    let broker = start('broker', '-p', String(port))
    await broker.until(/listening on/)
    const server = start('listen', 'big', ...at)
    await server.until(/listening on/)
    const client = start('socket', 'big', ...at)
    const data = randomBytes(64 * 1024 * 1024)
    let received = 0
    const some = new Promise<void>(resolve => {
      server.child.stdout.on('data', (part: Buffer) => {
        received += part.length
        if (received > 8 * 1024 * 1024) resolve()
      })
    })
    client.child.stdin.end(data)
    await some
    await broker.stop('SIGKILL')
    expect(received).toBeLessThan(data.length)
    broker = start('broker', '-p', String(port))
    expect((await client.ended).exit).toBe(0)
    expect((await server.ended).exit).toBe(0)
    expect(hash(Buffer.concat(server.output))).toBe(hash(data))
    await broker.stop()
  })

  test.each([
    ['pub', 'nobody', '1', '--wait'],
    ['socket', 'nobody', '--wait'],
  ])('%s that waits for somebody ends at a signal', async (...args) => {
    const command = start(...args, '-v')
    await command.until(/waiting until/)
    expect((await command.stop()).exit).toBe(0)
  })

  test('a wait for somebody has the time that was given', async () => {
    const { exit, stderr } = await run(['socket', 'nobody', '--wait', '-t', '300'])
    expect({ exit, stderr }).toEqual({ exit: 6, stderr: expect.stringMatching(/408/) })
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
