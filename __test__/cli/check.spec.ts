// selvedge broker --check: refuses what a start would refuse, in the same words, with the place of what is to blame.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConatServer, init, type ServerOptions } from 'selvedge'
import { material } from '../support/certificates'
import { Command, type Ended } from '../support/command'

jest.setTimeout(60_000)

let folder: string
const running: Command[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  const [server, other] = [material('server'), material('client')]
  const files = {
    'cert.pem': server.cert,
    'key.pem': server.key,
    'other.pem': other.key,
    junk: 'junk',
    short: 'abc',
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(command => command.stop('SIGKILL')))
})
afterAll(() => rmSync(folder, { recursive: true }))

function broker(...args: string[]): Promise<Ended> {
  const command = new Command(['broker', ...args], {}, folder)
  running.push(command)
  return command.ended
}

const FILES = { certFile: 'cert.pem', keyFile: 'key.pem' }

// Line 1 is the brace of the file, and each value begins a line.
test.each<[string, object, RegExp]>([
  ['a port out of range', { host: '::1', port: 70_000 }, /^3:10: port must be an integer/],
  ['a port that is a text', { port: '3000' }, /^2:10: port must be a number/],
  ['the port of metrics', { metrics: { port: 99_999 } }, /^3:11: port must be an integer/],
  [
    'one port for two',
    { port: 4711, metrics: { port: 4711 } },
    /^4:11: the port of metrics is that of the broker/,
  ],
  ['a key that is none', { ssl: { ...FILES, keyFile: 'junk' } }, /^4:14: ssl: key is not a private key/],
  [
    'a key of another certificate',
    { ssl: { ...FILES, keyFile: 'other.pem' } },
    /^3:15: cert and key cannot be used/,
  ],
  ['a certificate alone', { ssl: { certFile: 'cert.pem' } }, /^2:9: ssl needs key and cert/],
  ['a file that is missing', { ssl: { ...FILES, caFile: 'none' } }, /^5:13: cannot read ssl.caFile: ENOENT/],
  ['clients without an authority', { ssl: { ...FILES, requestCert: true } }, /^5:18: requestCert needs ca/],
  ['a version of TLS', { ssl: { ...FILES, minVersion: '1' } }, /^5:17: minVersion must be/],
  ['an open monitor', { host: '0.0.0.0', monitor: true }, /^3:13: monitor needs a password/],
  ['a short password', { monitor: { passwordFile: 'short' } }, /^3:19: password must have 8 to 256 bytes/],
  ['actions for everybody', { monitor: { actions: true } }, /^3:14: actions of the monitor need a password/],
  ['open metrics', { host: '0.0.0.0', metrics: true }, /^3:13: metrics needs a token/],
  ['a short token', { metrics: { tokenFile: 'short' } }, /^3:16: token must have 16/],
  ['a proxy', { trustedProxies: ['unix', '10.0.0.0/99'] }, /^4:3: trustedProxies\[1\] must be an address/],
  [
    'an origin without a scheme',
    { allowedOrigins: ['app.example'] },
    /^3:3: allowedOrigins\[0\] must be an origin/,
  ],
  [
    'an origin with a path',
    { allowedOrigins: ['https://a', 'https://a/'] },
    /^4:3: allowedOrigins\[1\] must be/,
  ],
  ['a host with a port', { allowedHosts: ['a:80'] }, /^3:3: allowedHosts\[0\] must be a name without a port/],
  ['a scheme', { upstream: 'http://x' }, /^2:14: upstream must be nats/],
  ['an address', { upstream: ['nats://a', 'nats://b:99999'] }, /^4:3: address with a malformed port/],
  ['no address', { upstream: { user: 'ann' } }, /^2:14: upstream needs an address/],
  ['a seed', { upstream: { address: 'nats://a', nkey: 'x' } }, /^4:11: nkey is not the seed/],
  ['no host', { host: '' }, /^2:10: host must be an IP address or a name/],
  ['an address that is none', { host: '999.1.1.1' }, /^2:10: host must be an IP address or a name/],
  ['an address in brackets', { host: '[::1]' }, /^2:10: host must be an IP address or a name/],
  ['a host that is an address with a port', { host: 'a:80' }, /^2:10: host must be an IP address or a name/],
  ['the host of metrics', { metrics: { port: 0, host: '10.0.0.256' } }, /^4:11: host must be an IP address/],
  ['a limit', { maxConnections: 0 }, /^2:20: maxConnections must be positive/],
  ['a mode', { socketPath: 'x.sock', socketMode: '0600' }, /^3:16: socketMode must be a number/],
  [
    'a socket with a port',
    { socketPath: 'x.sock', port: 1 },
    /^[23]:\d+: socketPath and port exclude each other/,
  ],
  ['an id of two tokens', { id: 'a.b', systemAccountPassword: 'secret' }, /^2:8: id must be one token/],
  ['a users file that is missing', { usersFile: 'none.jsonc' }, /^2:15: cannot read .*none.jsonc/],
  ['a time', { drain: { spread: -1 } }, /^3:13: drain.spread must be a number of milliseconds/],
])('%s', async (_, config, complaint) => {
  writeFileSync(join(folder, 'broker.jsonc'), JSON.stringify(config, null, 1))
  const [checked, started] = await Promise.all([
    broker('--check', '-c', 'broker.jsonc'),
    broker('-c', 'broker.jsonc'),
  ])
  expect(checked).toEqual(started)
  expect({ exit: checked.exit, stdout: checked.stdout }).toEqual({ exit: 2, stdout: '' })
  const [, told] = /^selvedge: broker\.jsonc:(.*) \(ERR_INVALID_ARG_VALUE\)\n$/.exec(checked.stderr) ?? []
  expect(told ?? checked.stderr).toMatch(complaint)
})

test.each(['none/x.sock', 'key.pem/x.sock', './none/other/x.sock'])(
  'the folder of a Unix socket: %s',
  async path => {
    const [checked, started] = await Promise.all([broker('--check', '--unix', path), broker('--unix', path)])
    expect(checked).toEqual(started)
    expect({ exit: checked.exit, stdout: checked.stdout }).toEqual({ exit: 1, stdout: '' })
    expect(checked.stderr).toMatch(/cannot listen on .*(No such file|Not a directory)/)
  },
)

test.each<[string[], string]>([
  [['--tls-cert', 'cert.pem', '--tls-key', 'junk'], '--tls-key: ssl: key is not a private key'],
  [['--monitor-password-file', 'short'], '--monitor-password-file: password must have'],
  [['--monitor', '--host', '0.0.0.0'], '--monitor: monitor needs a password'],
  [['--allow-origin', 'app.example'], '--allow-origin: allowedOrigins[0] must be an origin'],
  [['--upstream', 'http://x'], '--upstream: upstream must be nats'],
  [['--users', 'none.jsonc'], '--users: cannot read none.jsonc'],
  // What the file says is overruled.
  [['-c', 'wrong.jsonc', '--monitor-password-file', 'short'], '--monitor-password-file: password must have'],
])('an argument is named: %j', async (args, complaint) => {
  writeFileSync(join(folder, 'wrong.jsonc'), '{ "monitor": { "passwordFile": "junk" } }')
  const { exit, stderr } = await broker('--check', ...args)
  expect(stderr).toContain(`selvedge: ${complaint}`)
  expect(exit).toBe(2)
})

describe('ConatServer.check', () => {
  test.each<[object]>([
    [{ port: -1 }],
    [{ prot: 1 }],
    [{ ssl: { key: 'junk', cert: 'junk' } }],
    [{ ssl: { key: material('client').key, cert: material('server').cert } }],
    [{ monitor: true, host: '0.0.0.0' }],
    [{ upstream: 'nats://' }],
  ])('throws what init throws: %j', options => {
    const failure = (act: (options: ServerOptions) => unknown): unknown => {
      try {
        act(options as ServerOptions)
        return undefined
      } catch (error) {
        const { message, code } = error as { message: string; code: string }
        return { message, code }
      }
    }
    const told = failure(init)
    expect(told).toBeDefined()
    expect(failure(ConatServer.check)).toEqual(told)
  })

  test('starts nothing', async () => {
    const server = init({ port: 0 })
    await server.waitUntilReady()
    const { port } = server.address()!
    expect(() => ConatServer.check({ port, upstream: 'nats://127.0.0.1:1' })).not.toThrow()
    await server.close()
  })
})
