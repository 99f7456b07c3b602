// selvedge broker: what it prints, its arguments, its config file, its end.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { material } from '../support/certificates'
import type { Ended } from '../support/command'
import { commandSuite, jsonLines } from '../support/command-suite'

jest.setTimeout(60_000)

const { env, run, start } = commandSuite()

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

  test('a gateway that has never reached its upstream ends in order, too', async () => {
    const own = start('broker', '-p', '0', '--upstream', 'nats://127.0.0.1:1')
    await own.until(/upstream: away/)
    expect(await own.stop()).toMatchObject({ exit: 0, stderr: expect.stringContaining('draining') })
  })

  test('a port that is taken is 1, with who to ask', async () => {
    const { port } = new URL(env.SELVEDGE_SERVER!)
    const { exit, stderr } = await run(['broker', '-p', String(port)])
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: expect.stringMatching(/EADDRINUSE[\s\S]*ss -ltnp/) })
  })

  test('a path that cannot be is 1, with what to do', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    const path = join(folder, 'x.sock')
    const first = start('broker', '--unix', path)
    await first.until(/listening on unix:/)
    const taken = await run(['broker', '--unix', path])
    expect(taken).toMatchObject({
      exit: 1,
      stderr: expect.stringMatching(/EADDRINUSE[\s\S]*try: another --unix path/),
    })
    await first.stop()
    writeFileSync(join(folder, 'file'), '')
    for (const [other, what] of [
      [join(folder, 'file'), 'a plain file'],
      [folder, 'a folder'],
    ] as const) {
      const stderr = expect.stringMatching(RegExp(`EADDRINUSE[\\s\\S]*${what} is at this one, and no socket`))
      for (const check of [[], ['--check']]) {
        expect(await run(['broker', ...check, '--unix', other])).toMatchObject({ exit: 1, stderr })
      }
    }
    const missing = await run(['broker', '--unix', join(folder, 'none', 'x.sock')])
    expect(missing).toMatchObject({
      exit: 1,
      stderr: expect.stringMatching(/ENOENT[\s\S]*try: mkdir -p \S*none: /),
    })
    rmSync(folder, { recursive: true })
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
    const { cert, key } = material('server')
    file('cert.pem', cert)
    file('key.pem', key)
    for (const name of ['token', 'monitor', 'system']) file(name, `s3cret-${name}-long-enough`)
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
    ['no JSON', '{\n  "port" 1}', /broker\.jsonc:2:\d+: not JSON: a colon is missing/],
    ['no object', '[]', /1:1: the file must be an object/],
    ['an unknown key', '{\n "prot": 1 }', /2:2: unknown key 'prot'; did you mean 'port'\?/],
    [
      'a text for a time',
      '{"drain":{"deadline":"5s"}}',
      /1:22: drain.deadline must be a number of milliseconds/,
    ],
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
