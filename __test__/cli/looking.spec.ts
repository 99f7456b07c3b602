// netstat and top, against a broker with a system account.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { Command, runCommand } from '../support/command'

jest.setTimeout(60_000)

const PASSWORD = 'system-secret'
let folder: string
let broker: ConatServer
let clients: Client[] = []
let env: Record<string, string>
let secret: string[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-looking-'))
  writeFileSync(join(folder, 'secret'), `${PASSWORD}\n`)
  secret = ['--system-password-file', join(folder, 'secret')]
  broker = init({
    port: 0,
    id: 'watched',
    systemAccountPassword: PASSWORD,
    getUser: ({ handshake }, accounts) => {
      if (handshake.headers.cookie?.includes(`sys=${PASSWORD}`)) return accounts!.sys!.user
      return { name: handshake.headers.who ?? null, token: 'hidden' }
    },
  })
  await broker.waitUntilReady()
  env = { SELVEDGE_SERVER: String(broker.address()) }
  for (const who of ['ann', 'bob', '\u001b[31mred<b>']) {
    const encoded = who.startsWith('\u001b') ? 'red' : who
    const client = connect({
      address: String(broker.address()),
      noCache: true,
      extraHeaders: { who: encoded },
    })
    await client.waitUntilReady()
    clients.push(client)
  }
  for (let n = 0; n < 30; n++) await clients[1]!.publish('busy', n)
  for (let n = 0; n < 3; n++) await clients[0]!.publish('busy', n)
})

afterAll(async () => {
  await Promise.all(clients.map(client => client.close()))
  clients = []
  await broker.close()
  rmSync(folder, { recursive: true })
})

const run = (...args: string[]) => runCommand(args, { env })

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
}

describe('netstat', () => {
  test('sorts before it cuts, and hides what looks like a secret', async () => {
    const { exit, stdout } = await run('netstat', ...secret, '--sort', 'msgsIn', '--limit', '2', '--json')
    const rows = jsonLines(stdout)
    expect(exit).toBe(0)
    expect(rows.map(({ user }) => user)).toEqual([
      '{"name":"bob","token":"•••"}',
      '{"name":"ann","token":"•••"}',
    ])
    expect(rows[0]).toMatchObject({ msgsIn: 30, wire: 'selvedge', outbox: 0 })
    expect(rows[0]!.age).toBeGreaterThanOrEqual(0)
  })

  test('filters, and says how many there are', async () => {
    const { exit, stdout, stderr } = await run('netstat', ...secret, '--filter', '"ann"')
    expect({ exit, lines: stdout.trimEnd().split('\n').length }).toEqual({ exit: 0, lines: 2 })
    expect(stdout).toMatch(/^ID +USER +ADDRESS +WIRE +AGE +SUBS +MSGS-IN/)
    expect(stdout).toMatch(/ann/)
    expect(stderr).toMatch(/^1 of 1 connections, of \d+ in all$/m)
    expect((await run('netstat', ...secret, '--filter', 'nobody of this name', '--json')).stdout).toBe('')
  })

  test('shows sockets by subject, with the connection that each comes from', async () => {
    const [server, user] = clients as [Client, Client]
    const listener = server.socket.listen('chat')
    const socket = user.socket.connect('chat')
    await socket.waitUntilReady(10_000)
    const { exit, stdout, stderr } = await run('netstat', ...secret, '--sockets', '--filter', 'chat')
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: expect.stringContaining('1 of 1 sockets') })
    expect(stdout).toMatch(
      new RegExp(
        `^SUBJECT +SOCKET +CONNECTION +STATE +SENT +RECEIVED +PENDING +SERVER +S-PENDING +LISTENERS\n` +
          `chat +${socket.id} +\\S+ +(-|ready) .* 1\n$`,
      ),
    )
    const [row] = jsonLines((await run('netstat', ...secret, '--sockets', '--json')).stdout)
    expect(row).toMatchObject({
      subject: 'chat',
      id: socket.id,
      connection: expect.any(String),
      listeners: 1,
    })
    await socket.end()
    await listener.close()
  })

  test('each wrong use and each failure has its exit code', async () => {
    expect(await run('netstat', ...secret, '--sort', 'beauty')).toMatchObject({ exit: 2 })
    expect(await run('netstat', ...secret, '--limit', '501')).toMatchObject({ exit: 2 })
    expect(await run('netstat', '-s', 'http://127.0.0.1:1')).toMatchObject({ exit: 3 })
    const stranger = await run('netstat')
    expect(stranger).toMatchObject({ exit: 4, stdout: '' })
    expect(stranger.stderr).toMatch(/--system-password-file/)
  })

  test('where nobody may look it says how to let somebody', async () => {
    const other = init({ port: 0 })
    await other.waitUntilReady()
    try {
      const { exit, stderr } = await run('netstat', '-s', String(other.address()))
      expect(exit).toBe(5)
      expect(stderr).toMatch(/--system-password-file/)
    } finally {
      await other.close()
    }
  })
})

describe('through the monitor', () => {
  const serve = async (options: object): Promise<{ url: string; close: () => Promise<void> }> => {
    const other = init({ port: 0, host: '127.0.0.1', id: 'shown', ...options })
    await other.waitUntilReady()
    const client = connect({ address: String(other.address()), noCache: true })
    await client.waitUntilReady()
    const close = async (): Promise<void> => {
      await client.close()
      await other.close()
    }
    return { url: String(other.address()), close }
  }

  test('whoever may see it needs no account, and is no connection', async () => {
    const { url, close } = await serve({ monitor: true })
    const { exit, stdout, stderr } = await run(
      'netstat',
      '-s',
      url,
      '--json',
      '--sort',
      'id',
      '--limit',
      '10',
    )
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '1 of 1 connections\n' })
    expect(jsonLines(stdout)).toMatchObject([{ wire: 'selvedge', address: '127.0.0.1' }])
    expect((await run('netstat', '-s', url, '--filter', 'nobody of this name')).stderr).toBe(
      '0 of 0 connections, of 1 in all\n',
    )
    expect((await run('netstat', '-s', url, '--sockets')).stderr).toBe('0 of 0 sockets\n')
    const top = await run('top', '-s', url, '--once')
    expect(top.stdout).toMatch(/broker shown of default, up \d+s\n1 connections/)
    const [seen] = jsonLines((await run('top', '-s', url, '--once', '--json')).stdout)
    expect(seen!.overview).not.toHaveProperty('history')
    await close()
  })

  test('its password is enough, from wherever it is; a wrong one, or none, is not', async () => {
    const { url, close } = await serve({ monitor: { password: PASSWORD } })
    const password = ['--monitor-password-file', join(folder, 'secret')]
    expect(await run('netstat', '-s', url, ...password)).toMatchObject({
      exit: 0,
      stderr: '1 of 1 connections\n',
    })
    writeFileSync(join(folder, 'wrong'), 'not this one')
    const wrong = await run('netstat', '-s', url, '--monitor-password-file', join(folder, 'wrong'))
    expect(wrong).toMatchObject({
      exit: 4,
      stdout: '',
      stderr: 'selvedge: the monitor: wrong password (401)\n',
    })
    const none = await run('netstat', '-s', url)
    expect(none).toMatchObject({ exit: 5, stdout: '' })
    expect(none.stderr).toMatch(/--monitor/)
    await close()
    const gone = await run('top', '--once', '-s', url, ...password)
    expect(gone.exit).toBe(3)
    expect(gone.stderr).toMatch(/ECONNREFUSED.*\n {2}try: selvedge doctor/)
  })

  test('a broker without one says so, and what is no broker does not count', async () => {
    const password = ['--monitor-password-file', join(folder, 'secret')]
    const none = await run('netstat', ...password)
    expect(none).toMatchObject({ exit: 5 })
    expect(none.stderr).toMatch(/the monitor: there is none \(404\)\n {2}try: .*--monitor/)
    const stranger = createServer((_, response) => response.end('<h1>hello</h1>')).listen(0, '127.0.0.1')
    await once(stranger, 'listening')
    const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
    const other = await run('netstat', '-s', url, ...password)
    expect(other).toMatchObject({ exit: 3 })
    expect(other.stderr).toMatch(/no monitor of selvedge/)
    expect(await run('netstat', '-s', url, '-t', '2s')).toMatchObject({ exit: 3 })
    stranger.close()
    expect(await run('netstat', '-s', 'nats://127.0.0.1:1', ...password)).toMatchObject({ exit: 2 })
    expect(await run('netstat', ...secret, ...password)).toMatchObject({ exit: 2 })
  })
})

describe('top', () => {
  test('draws one picture without escape codes', async () => {
    const { exit, stdout } = await run('top', ...secret, '--once')
    expect(exit).toBe(0)
    expect(stdout).toMatch(/^selvedge \S+ · broker watched of default, up \d+s$/m)
    expect(stdout).toMatch(/^\d+ connections · \d+ subscriptions to \d+ patterns · outbox 0$/m)
    expect(stdout).toMatch(/bob.*\n.*ann/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none
    expect(stdout).not.toMatch(/\x1b/)
  })

  test('has a line of JSON for each look, with rates from the second on', async () => {
    const watching = new Command(['top', ...secret, '--interval', '50', '--json'], env)
    const [, rest] = await watching.until(/^\{.*\n(\{.*)\n/)
    const { exit } = await watching.stop()
    const [first] = jsonLines((await watching.ended).stdout)
    const second = JSON.parse(rest!) as Record<string, unknown>
    expect(exit).toBe(0)
    expect(first).toMatchObject({ rates: null, overview: { id: 'watched' } })
    expect(second.rates).toEqual({
      msgsIn: expect.any(Number),
      msgsOut: expect.any(Number),
      bytesIn: expect.any(Number),
      bytesOut: expect.any(Number),
    })
  })
})
