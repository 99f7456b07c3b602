// selvedge doctor: the cause of each set-up that is wrong, and what to do about it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConatServer, init, type ServerOptions } from 'selvedge'
import { CA, material } from '../support/certificates'
import { commandSuite } from '../support/command-suite'
import { describeNats, freePorts, NatsServer } from '../support/nats'

jest.setTimeout(60_000)

const { env, run, start } = commandSuite()
const open: ConatServer[] = []
let folder: string
let ca: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  ca = join(folder, 'ca.pem')
  writeFileSync(ca, CA)
})
afterEach(async () => {
  await Promise.all(open.splice(0).map(broker => broker.close()))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function portOf(options: ServerOptions): Promise<number> {
  const broker = init({ port: 0, ...options })
  open.push(broker)
  await broker.waitUntilReady()
  return broker.address()!.port
}

/** What is no `ok`, and the exit code. */
async function told(...args: string[]): Promise<{ exit: number | null; lines: string[] }> {
  const { exit, stdout } = await run(['doctor', ...args, '-t', '3s'])
  expect(stdout).not.toMatch(/undefined|this check itself failed/)
  return {
    exit,
    lines: stdout
      .trimEnd()
      .split('\n')
      .filter(line => !line.startsWith('ok')),
  }
}

describe('TLS', () => {
  test.each(['http', 'ws'])('%s at a port that speaks it', async scheme => {
    const at = `127.0.0.1:${await portOf({ ssl: material('server') })}`
    const { exit, lines } = await told('--server', `${scheme}://${at}`)
    expect(lines).toEqual([
      expect.stringMatching(RegExp(`^FAIL +signin .*→ .*: give --server ${scheme}s://${at}$`)),
    ])
    expect(exit).toBe(8)
  })

  test.each(['https', 'wss'])('%s at a port that does not speak it', async scheme => {
    const at = `127.0.0.1:${await portOf({})}`
    const { lines } = await told('--server', `${scheme}://${at}`)
    const advice = `the port speaks no TLS +→ give --server ${scheme.slice(0, -1)}://${at}$`
    expect(lines).toEqual([expect.stringMatching(RegExp(`^FAIL +tls +${advice}`))])
  })

  test('a certificate that the broker wants', async () => {
    const port = await portOf({ ssl: { ...material('server'), ca: CA, requestCert: true } })
    const { lines } = await told('--server', `https://localhost:${port}`, '--ca', ca)
    expect(lines).toEqual([expect.stringMatching(/^FAIL +signin .*→ give --cert and --key/)])
  })

  test('a certificate for another name', async () => {
    const port = await portOf({ ssl: material('elsewhere') })
    const { lines } = await told('--server', `https://localhost:${port}`, '--ca', ca)
    expect(lines).toEqual([
      expect.stringMatching(
        /^FAIL +tls +the certificate is for DNS:elsewhere.example, and not for 'localhost' +→ connect by/,
      ),
    ])
  })
})

test('a proxy that is dead', async () => {
  env.http_proxy = 'http://127.0.0.1:1'
  const { lines } = await told('--server', 'http://192.0.2.1:3000')
  delete env.http_proxy
  expect(lines.at(-1)).toMatch(/^FAIL +signin .*the proxy 127.0.0.1:1: .*→ mend http_proxy, .*NO_PROXY$/)
})

test.each([
  [['--user', 'ann', '--password-file', 'none']],
  [['--token-file', 'none']],
  [['--system-password-file', 'none']],
  [['--ca', 'none']],
  [['--cert', 'none', '--key', 'none']],
])('a file that is missing: %j', async args => {
  const { exit, lines } = await told(...args)
  for (const line of lines)
    expect(line).toMatch(/^FAIL +options +cannot read 'none' of --.*→ name a file that is there/)
  expect({ exit, isTold: lines.length > 0 }).toEqual({ exit: 8, isTold: true })
})

test('a system account that is not there', async () => {
  const password = join(folder, 'password')
  writeFileSync(password, 'a-long-password')
  const { lines } = await told('--system-password-file', password)
  expect(lines).toEqual([
    expect.stringMatching(/^FAIL +limits +the broker has no system account +→ start the broker/),
  ])
})

test('a subject that cannot be, and one with wildcards', async () => {
  const { exit, lines } = await told('--subject', 'a..b')
  expect(lines).toEqual([
    expect.stringMatching(/^FAIL +options +'a..b' of --subject is no subject +→ name tokens/),
  ])
  expect(exit).toBe(8)
  expect(await told('--subject', 'a.*')).toEqual({ exit: 0, lines: [] })
})

test('a gateway whose fabric is away', async () => {
  const [port] = await freePorts(1)
  const gateway = start('broker', '-p', String(port), '--upstream', 'nats://127.0.0.1:1')
  await gateway.until(/upstream: away/)
  const { lines } = await told('--server', `http://127.0.0.1:${port}`)
  expect(lines).toEqual([
    expect.stringMatching(/^warn +tap +.*→ .*the broker is a gateway whose NATS is away/),
  ])
})

test.each(['unix:/nowhere/x.sock', './x.sock'])('a Unix socket that is missing: %s', async address => {
  const { exit, lines } = await told('--server', address)
  expect(lines).toEqual([
    expect.stringMatching(/→ there is no such socket: .*--unix PATH|→ give --server unix:\.\/x\.sock/),
  ])
  expect(exit).toBe(8)
})

test('what is no Unix socket', async () => {
  const path = join(folder, 'plain')
  writeFileSync(path, '')
  const { lines } = await told('--server', `unix:${path}`)
  expect(lines).toEqual([
    expect.stringMatching(/^FAIL +tcp .*→ a plain file is at that path, and no socket: check the path/),
  ])
})

test('another path', async () => {
  const { lines } = await told('--path', '/other')
  expect(lines).toEqual([expect.stringMatching(/^FAIL +signin .*→ .*check the port and --path/)])
})

describeNats('a NATS server', () => {
  const server = new NatsServer()
  afterAll(() => server.close())

  test.each([
    ['as it is', '', []],
    ['that takes small messages only', 'max_payload: 4096', [/^warn +limits .*→ raise max_payload/]],
    [
      'that takes hardly any',
      'max_payload: 1024',
      [/^FAIL +(inbox|roundtrip|buffers) .*→ raise max_payload/, /^warn +limits/],
    ],
  ])('%s', async (_, config, findings) => {
    await server.kill()
    await server.start(config)
    const { lines } = await told('--server', server.address)
    expect(lines).toEqual(expect.arrayContaining(findings.map(finding => expect.stringMatching(finding))))
    expect(lines.filter(line => !findings.some(finding => finding.test(line)))).toEqual([])
  })
})
