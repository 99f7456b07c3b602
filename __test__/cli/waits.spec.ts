// What the command says while it waits: for a broker, for somebody who listens; and how it ends when nobody answers.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { connect } from 'selvedge'
import { runCommand } from '../support/command'
import { commandSuite, jsonLines } from '../support/command-suite'
import { freePorts } from '../support/nats'

jest.setTimeout(60_000)

const { env, run, start } = commandSuite()

describe('with --retry', () => {
  test.each([
    ['sub', 'x'],
    ['req', 'x', '1'],
    ['pub', 'x', '1'],
    ['socket', 'x'],
    ['expose', 'x', '80'],
  ])('%s says why there is no connection, and that it tries again', async (...args) => {
    const command = start(...args, '--retry', '--server', 'http://127.0.0.1:1')
    await command.until(/no connection to http:\/\/127\.0\.0\.1:1: .*\(ECONNREFUSED\), trying again\n/)
    const { exit, stdout } = await command.stop()
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: '' })
  })

  test('it says so once for each cause', async () => {
    let attempts = 0
    const rude = createServer(socket => {
      attempts += 1
      socket.on('error', () => {}).end('no broker\r\n\r\n')
    }).listen(0, '127.0.0.1')
    await once(rude, 'listening')
    const { port } = rude.address() as AddressInfo
    const command = start('sub', 'x', '--retry', '--server', `http://127.0.0.1:${port}`)
    while (attempts < 3) await once(rude, 'connection')
    rude.close()
    await command.until(/\(ERR_REFUSED\), trying again\n/)
    // What was not yet accepted is reset, which is a cause of its own.
    await command.until(/\(ECONNREFUSED\), trying again\n/)
    const { stderr } = await command.stop()
    const said = stderr.trimEnd().split('\n')
    expect(said).toEqual([...new Set(said)])
    expect(said.filter(line => !line.includes('(ECONNRESET)'))).toHaveLength(2)
  })

  test('it says that it is connected, too', async () => {
    const [port] = await freePorts(1)
    const command = start('sub', 'x', '--retry', '--json', '--server', `http://127.0.0.1:${port}`)
    await command.until(/ECONNREFUSED\), trying again\n/)
    const broker = start('broker', '-p', String(port))
    await broker.until(/listening/)
    await command.until(/\nconnected\nlistening on x\n/)
    const { stdout } = await command.stop()
    expect(jsonLines(stdout)).toEqual([
      { event: 'disconnected', code: 'ECONNREFUSED', message: expect.stringContaining('refused') },
      { event: 'connected' },
      { event: 'listening', patterns: ['x'] },
    ])
  })
})

describe('with --wait', () => {
  test('pub says for whom it waits, if it has to', async () => {
    const pub = start('pub', 'awaited', '1', '--wait')
    await pub.until(/^waiting until somebody is subscribed to awaited\n/)
    const sub = start('sub', 'awaited')
    expect((await pub.ended).exit).toBe(0)
    await sub.until(/\[awaited\] 1/)
    expect((await run(['pub', 'awaited', '1', '--wait'])).stderr).not.toMatch(/waiting/)
  })

  test('socket says for whom it waits, if it has to', async () => {
    const socket = start('socket', 'late', '--wait')
    await socket.until(/^waiting until somebody listens on late\n/)
    const server = start('listen', 'late', '--echo')
    await server.until(/listening/)
    socket.child.stdin.end('hi')
    expect(await socket.ended).toMatchObject({ exit: 0, stdout: 'hi' })
    expect((await run(['socket', 'late', '--wait'], 'hi')).stderr).toBe('')
  })

  test.each([['--echo'], ['--exec', 'cat']])(
    'all who wait already are served by listen %s',
    async (...how) => {
      const subject = `many${how[0]}`
      const waiting = Array.from({ length: 6 }, () => start('socket', subject, '--wait'))
      await Promise.all(waiting.map(socket => socket.until(/^waiting until somebody/)))
      start('listen', subject, ...how)
      for (const { child } of waiting) child.stdin.end('hi')
      for (const { ended } of waiting) expect(await ended).toMatchObject({ exit: 0, stdout: 'hi' })
    },
  )

  test('the one who waits already is joined to listen', async () => {
    const socket = start('socket', 'early', '--wait')
    await socket.until(/^waiting until somebody/)
    const server = start('listen', 'early')
    socket.child.stdin.end('hi')
    await server.until(/^hi$/)
    server.child.stdin.end('ho')
    expect(await server.ended).toMatchObject({ exit: 0, stdout: 'hi' })
    expect(await socket.ended).toMatchObject({ exit: 0, stdout: 'ho' })
  })
})

describe('socket --request ends as req does', () => {
  let client: ReturnType<typeof connect>
  beforeAll(async () => {
    client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
    const server = client.socket.listen('desk')
    server.on('connection', socket =>
      socket.handle((asked: unknown) => {
        if (asked === 'never') return new Promise(() => {})
        if (asked === 'fail') throw Object.assign(Error('no such order'), { code: 'ENOSUCH' })
        return { asked }
      }),
    )
    await server.waitUntilReady()
  })
  afterAll(() => client.close())

  test.each([
    ['never\n', 6],
    ['fail\n', 1],
    ['ok\nnever\nfail\n', 6],
    ['fail\nnever\nok\n', 1],
    ['ok\n', 0],
  ])('%j: exit code %i', async (input, code) => {
    const { exit, stdout, stderr } = await run(['socket', 'desk', '--request', '-t', '300'], input)
    expect(exit).toBe(code)
    expect(stdout).toBe(input.includes('ok') ? '{"asked":"ok"}\n' : '')
    const lines = input.trim().split('\n')
    const failed = lines.filter(line => line !== 'ok').length
    if (failed === 0) expect(stderr).toBe('')
    else expect(stderr).toContain(`selvedge: ${failed} of ${lines.length} line`)
    for (const [at, line] of lines.entries()) {
      if (line === 'fail') expect(stderr).toContain(`line ${at + 1}: no such order`)
      if (line === 'never') expect(stderr).toMatch(RegExp(`line ${at + 1}: timeout`))
    }
  })

  test('with --json each line of input is one of output', async () => {
    const { stdout } = await run(['socket', 'desk', '--request', '-t', '300', '--json'], 'ok\nfail\nnever\n')
    expect(jsonLines(stdout)).toMatchObject([
      { event: 'connected', subject: 'desk' },
      { event: 'answer', line: 1, data: { asked: 'ok' } },
      { event: 'error', line: 2, code: 'ENOSUCH', message: 'no such order' },
      { event: 'error', line: 3, code: 408 },
    ])
  })
})

describe('what was too late is said once', () => {
  test.each([
    ['req', 'silent', '1'],
    ['req', 'silent', '1', '--replies', '2'],
    ['req', 'silent', '1', '--replies', 'all', '--max-wait', '100'],
    ['pub', 'nobody', '1', '--wait'],
    ['socket', 'nobody', '--wait'],
  ])('%s %s %s %s', async (...args) => {
    const silent = start('sub', 'silent')
    await silent.until(/listening/)
    const { exit, stderr } = await run([...args, '-t', '300'])
    expect(exit).toBe(6)
    expect(stderr).toMatch(/^selvedge: .* \(408\)\n/m)
    expect(stderr.match(/timeout[ :]|timed out|in time/g)!.length).toBeLessThan(3)
    expect(stderr).not.toMatch(/try: .*timed out/)
  })

  test('fewer answers than asked for are too few', async () => {
    const one = start('reply', 'single', 'x')
    await one.until(/answering/)
    const asked = ['req', 'single', '1', '-t', '300', '--replies', '2']
    expect(await run(asked)).toEqual({
      exit: 6,
      stdout: 'x\n',
      stderr: expect.stringMatching(/^selvedge: 1 of 2 answers came in time .*\(408\)\n/),
    })
    expect(await run([...asked, '--max-wait', '100'])).toMatchObject({ exit: 0, stdout: 'x\n' })
  })
})

describe('a token', () => {
  test('that cannot be one is refused by its name', async () => {
    const bad = { ...env, SELVEDGE_TOKEN: 'a\nb' }
    expect(await runCommand(['pub', 'x', '1'], { env: bad })).toEqual({
      exit: 2,
      stdout: '',
      stderr: expect.stringMatching(/^selvedge: SELVEDGE_TOKEN: the token has characters .*\n$/),
    })
    const empty = await run(['pub', 'x', '1', '--token-file', '/dev/null'])
    expect(empty).toMatchObject({ exit: 2, stderr: "selvedge: nothing is in '/dev/null' of --token-file\n" })
  })

  test('of the environment ends with its line, and is none if it is empty', async () => {
    for (const SELVEDGE_TOKEN of ['x\n', 'x\r\n', '']) {
      const { exit, stderr } = await runCommand(['pub', 'x', '1'], { env: { ...env, SELVEDGE_TOKEN } })
      expect({ exit, stderr }).toEqual({ exit: 0, stderr: expect.stringMatching(/^published/) })
    }
  })
})

describe('a subject that cannot be one', () => {
  const NOTHING = /^selvedge: nothing reaches 'w\*': .*\n$/
  test.each<[string[], RegExp]>([
    [['expose', 'w*', '80'], NOTHING],
    [['listen', 'w*'], NOTHING],
    [['reply', 'w*', 'x'], NOTHING],
    [['sub', 'a', 'w*'], NOTHING],
    [['expose', '', '80'], /'subject' is invalid\. Received ''/],
    [['expose', 'x', ''], /PORT, HOST:PORT or a path/],
    [['forward', '', '0'], /'subject' is invalid\. Received ''/],
    [['forward', 'x', ''], /PORT, HOST:PORT or a path/],
    [['listen', ''], /invalid subject '': it is empty/],
    [['socket', ''], /invalid subject '': it is empty/],
    [['sub', ''], /invalid subscribe subject '': it is empty/],
    [['reply', '', 'x'], /invalid subscribe subject '': it is empty/],
    [['pub', '', 'x'], /invalid publish subject '': it is empty/],
    [['req', '', 'x'], /invalid publish subject '': it is empty/],
    [['pub', 'a b', 'x'], /invalid publish subject a b: it has white space/],
    [['req', 'a.*', 'x'], /invalid publish subject a\.\*: a wildcard stands where none may/],
    [['sub', 'a..b'], /invalid subscribe subject 'a\.\.b': a token is empty/],
    [['socket', 'a.*'], /invalid subject 'a\.\*': a wildcard stands where none may/],
    [['bench', ''], /Allowed choices/],
    [['completion', ''], /Allowed choices/],
  ])('%j ends with 2', async (args, text) => {
    const { exit, stdout, stderr } = await run(args)
    expect(stderr).toMatch(text)
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
  })
})
