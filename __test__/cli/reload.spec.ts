// SIGHUP: a running `selvedge broker` reads users, certificates and limits again, all of them or nothing.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as dial } from 'node:tls'
import { connect } from 'selvedge'
import { CA, material } from '../support/certificates'
import { Command, runCommand } from '../support/command'

jest.setTimeout(60_000)

let folder: string
let running: Command | undefined
const at = (name: string): string => join(folder, name)
const write = (name: string, value: unknown): void => {
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value))
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
})

afterEach(async () => {
  await running?.stop('SIGKILL')
  running = undefined
  rmSync(folder, { recursive: true })
})

async function start(...args: string[]): Promise<{ url: string; hangUp(said: RegExp): Promise<unknown> }> {
  const command = new Command(['broker', '-p', '0', ...args])
  running = command
  const [, url = ''] = await command.until(/listening on (\S+)/)
  return {
    url,
    hangUp: async said => {
      command.child.kill('SIGHUP')
      return await command.until(said)
    },
  }
}

/** The serial number of the certificate that it shows. */
async function serialOf(url: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = dial({ host: hostname, port: Number(port), ca: CA, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

test('users: all of the new file or, if it has a mistake, all of the old one', async () => {
  const made = JSON.parse((await runCommand(['token', '--json'])).stdout) as { token: string; hash: string }
  write('users.jsonc', { users: { ann: { token: made.hash, pub: ['a.>'] } } })
  const { url, hangUp } = await start('--users', at('users.jsonc'))
  const env = { SELVEDGE_SERVER: url, SELVEDGE_TOKEN: made.token }
  expect((await runCommand(['pub', 'a.b', '1'], { env })).exit).toBe(0)
  expect((await runCommand(['pub', 'b', '1'], { env })).exit).toBe(4)
  expect((await runCommand(['pub', 'a.b', '1'], { env: { SELVEDGE_SERVER: url } })).exit).toBe(4)
  write('users.jsonc', '{')
  await hangUp(/all stays as it was: .*users\.jsonc:1:/)
  write('users.jsonc', { users: { ann: { token: made.hash, pub: ['>'] } } })
  await hangUp(/read again: users, certificates, limits/)
  expect((await runCommand(['pub', 'b', '1'], { env })).exit).toBe(0)
  expect((await running!.stop()).exit).toBe(0)
})

test('who may listen no longer ends with 4, and who may not subscribe is told', async () => {
  const made = JSON.parse((await runCommand(['token', '--json'])).stdout) as { token: string; hash: string }
  const all = { token: made.hash, listen: ['chat'], sub: ['news'], reply: ['ask'] }
  write('users.jsonc', { users: { ann: all } })
  const { url, hangUp } = await start('--users', at('users.jsonc'))
  const env = { SELVEDGE_SERVER: url, SELVEDGE_TOKEN: made.token }
  const commands = [
    ['listen', 'chat', '--echo'],
    ['sub', 'news'],
    ['reply', 'ask', '--echo'],
  ].map(args => new Command(args, env))
  const [listen, sub, reply] = commands as [Command, Command, Command]
  try {
    await Promise.all(commands.map(command => command.until(/(listening|answering) on/)))
    write('users.jsonc', { users: { ann: { token: made.hash } } })
    await hangUp(/read again: users/)
    expect(await listen.ended).toMatchObject({ exit: 4, stderr: expect.stringMatching(/chat.*\(403\)/) })
    await sub.until(/permission.*news|news.*permission/i)
    await reply.until(/permission.*ask|ask.*permission/i)
    for (const command of [sub, reply]) expect((await command.stop()).exit).toBe(0)
  } finally {
    await Promise.all(commands.map(command => command.stop('SIGKILL')))
  }
})

test('a renewed certificate is shown to whoever comes next, and one that cannot be used to nobody', async () => {
  const [old, renewed] = [material('server'), material('renewed')]
  write('cert.pem', old.cert)
  write('key.pem', old.key)
  const { url, hangUp } = await start('--tls-cert', at('cert.pem'), '--tls-key', at('key.pem'))
  const before = await serialOf(url)
  write('cert.pem', renewed.cert)
  await hangUp(/all stays as it was: /)
  expect(await serialOf(url)).toBe(before)
  write('key.pem', renewed.key)
  await hangUp(/read again: certificates, limits/)
  expect(await serialOf(url)).not.toBe(before)
})

test('a certificate that has ended is taken with a warning', async () => {
  const [old, ended] = [material('server'), material('expired')]
  write('cert.pem', old.cert)
  write('key.pem', old.key)
  const { hangUp } = await start('--tls-cert', at('cert.pem'), '--tls-key', at('key.pem'))
  write('cert.pem', ended.cert)
  write('key.pem', ended.key)
  const warning = /warning: \S+cert\.pem: the certificate of .* ended on Jan {2}1 00:00:00 2021 GMT\n/
  await hangUp(warning)
  const files = { certFile: 'cert.pem', keyFile: 'key.pem' }
  write('broker.jsonc', { port: 0, ssl: files })
  const checked = await runCommand(['broker', '--check', '-c', at('broker.jsonc')])
  expect(checked).toMatchObject({ exit: 0, stderr: expect.stringMatching(warning) })
  write('cert.pem', old.cert)
  write('key.pem', old.key)
  expect((await runCommand(['broker', '--check', '-c', at('broker.jsonc')])).stderr).toBe('')
})

test('limits of the file; what needs a restart is named', async () => {
  write('broker.jsonc', { maxConnections: 1 })
  const { url, hangUp } = await start('-c', at('broker.jsonc'))
  const one = connect({ address: url })
  await one.waitUntilReady()
  const two = connect({ address: url, reconnection: false })
  await expect(two.waitUntilReady()).rejects.toMatchObject({ code: 'ERR_SIGN_IN' })
  write('broker.jsonc', { maxConnections: -1 })
  await hangUp(/all stays as it was: .*maxConnections/)
  write('broker.jsonc', { maxConnections: 2, maxHandshakes: 7 })
  await hangUp(/only at the next start: maxHandshakes/)
  const three = connect({ address: url })
  await three.waitUntilReady()
  await Promise.all([one, two, three].map(client => client.close()))
})

test('a failed one is counted, whatever failed', async () => {
  write('broker.jsonc', { metrics: true })
  const { url, hangUp } = await start('-c', at('broker.jsonc'))
  write('broker.jsonc', { metrics: true, maxConnection: 3 })
  await hangUp(/all stays as it was: .*maxConnection.*did you mean 'maxConnections'/)
  const metrics = await (await fetch(`${url}/metrics`)).text()
  expect(metrics).toMatch(/^selvedge_broker_config_reload_failures_total 1$/m)
})
