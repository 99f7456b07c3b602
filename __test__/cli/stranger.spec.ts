// What a stranger does with the command and no program, sentence by sentence: terminals, what each shows, and exit codes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { chromium, launch } from '../support/chromium'
import { Command, ENTRY, type Ended } from '../support/command'
import { hasRedis, postgres, startPostgres, startRedis, told } from '../support/databases'
import { until } from '../support/events'

jest.setTimeout(120_000)

let folder: string
let env: Record<string, string>
const terminals: Command[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  writeFileSync(join(folder, 'selvedge'), `#!/bin/sh\nexec '${process.execPath}' '${ENTRY}' "$@"\n`, {
    mode: 0o755,
  })
})
beforeEach(() => {
  env = { PATH: `${folder}${delimiter}${process.env.PATH}` }
})
afterEach(async () => {
  await Promise.all(terminals.splice(0).map(command => command.stop('SIGKILL')))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What is typed in another terminal. */
function terminal(line: string): Command {
  const command = new Command(`exec ${line}`, env, folder)
  terminals.push(command)
  return command
}

/** Waits for the end of what is typed. */
function typed(line: string, input = ''): Promise<Ended> {
  const command = terminal(line)
  command.child.stdin.end(input)
  return command.ended
}

/** Starts a broker, to which all that is typed from now on connects. */
async function broker(...options: string[]): Promise<Command> {
  const command = terminal(['selvedge broker -p 0', ...options].join(' '))
  env.SELVEDGE_SERVER = (await command.until(/listening on (http\S+)/))[1]!
  return command
}

test('subscribes in one terminal, publishes in another, asks in a third', async () => {
  const running = await broker()
  const sub = terminal(`selvedge sub 'orders.*'`)
  await sub.until(/listening on orders\.\*/)
  expect(await typed(`selvedge pub orders.new '{"id":1}'`)).toEqual({
    exit: 0,
    stdout: '',
    stderr: 'published 5 bytes to orders.new, 1 subscriber\n',
  })
  await sub.until(/^\[orders\.new\] \{"id":1\}$/m)
  const reply = terminal('selvedge reply math.square 144')
  await reply.until(/answering on math\.square/)
  expect(await typed('selvedge req math.square 12')).toEqual({ exit: 0, stdout: '144\n', stderr: '' })
  expect((await typed('selvedge req nobody.there 1')).exit).toBe(5)
  expect((await typed('selvedge pub orders.new --require --server http://127.0.0.1:1')).exit).toBe(3)
  for (const one of [sub, reply]) expect((await one.stop('SIGINT')).exit).toBe(0)
  expect((await typed('selvedge pub orders.new --require')).exit).toBe(5)
  expect((await running.stop()).exit).toBe(0)
})

const inChromium = chromium === undefined ? test.skip : test

inChromium('opens a socket between two terminals, and sees both on the page', async () => {
  const running = await broker('--monitor')
  const [, url] = await running.until(/page +(http\S+)/)
  const sub = terminal(`selvedge sub 'orders.*'`)
  const listen = terminal('selvedge listen chat')
  await Promise.all([sub.until(/listening on/), listen.until(/listening on chat/)])
  const socket = terminal('selvedge socket chat')
  socket.child.stdin.write('hello from here\n')
  await listen.until(/hello from here/)
  listen.child.stdin.write('hello from there\n')
  await socket.until(/hello from there/)
  const browser = await launch()
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    const cells = (row: string) =>
      page.locator('.long tbody tr:not(.gap)', { hasText: row }).first().locator('td').allTextContents()
    await page.goto(`${url}#/sockets`)
    await page.locator('td', { hasText: /^ready$/ }).waitFor()
    // Each end tells of itself, at its own time.
    await page.locator('.long tbody tr:not(.gap) td:nth-child(9) a').waitFor()
    await page.locator('.long tbody tr:not(.gap) td:nth-child(6)', { hasText: '1' }).waitFor()
    const [subject, , client, state, sent, received, , , server] = await cells('chat')
    expect([subject, state, sent, received]).toEqual(['chat', 'ready', '1', '1'])
    expect(server).not.toBe(client)
    await page.getByRole('link', { name: 'Connections' }).click()
    await page.locator('#count', { hasText: '3 connections' }).waitFor()
    for (const id of [client, server]) await page.locator('td', { hasText: id! }).first().waitFor()
    await page.getByRole('link', { name: 'Subjects' }).click()
    await page.locator('td', { hasText: 'orders.*' }).first().waitFor()
    // Both have said all.
    socket.child.stdin.end()
    listen.child.stdin.end()
    expect(await socket.ended).toEqual({ exit: 0, stdout: 'hello from there\n', stderr: '' })
    expect(await listen.ended).toMatchObject({ exit: 0, stdout: 'hello from here\n' })
    await page.getByRole('link', { name: 'Sockets' }).click()
    await page.locator('#count', { hasText: '0 sockets' }).waitFor()
  } finally {
    await browser.close()
  }
  expect((await sub.stop()).exit).toBe(0)
  expect((await running.stop()).exit).toBe(0)
})

/** Puts a database on a subject, and that on a port, in two more terminals. */
async function tunnel(path: string): Promise<{ port: string; ends: Command[] }> {
  const expose = terminal(`selvedge expose db.main ${path}`)
  await expose.until(/exposing .* on db\.main/)
  const forward = terminal('selvedge forward db.main 0')
  const [, port] = await forward.until(/^127\.0\.0\.1:(\d+)$/m)
  return { port: port!, ends: [forward, expose] }
}

;(hasRedis ? test : test.skip)(told('tunnels Redis', hasRedis), async () => {
  const running = await broker()
  const redis = await startRedis()
  try {
    const { port, ends } = await tunnel(redis.path)
    const cli = `redis-cli -p ${port}`
    expect(await typed(`${cli} set greeting hello`)).toMatchObject({ exit: 0, stdout: 'OK\n' })
    expect(await typed(`${cli} get greeting`)).toMatchObject({ exit: 0, stdout: 'hello\n' })
    const large = 'x'.repeat(1_000_000)
    expect(await typed(`${cli} -x set large`, large)).toMatchObject({ exit: 0, stdout: 'OK\n' })
    expect((await typed(`${cli} get large`)).stdout === `${large}\n`).toBe(true)
    await redis.stop()
    expect((await typed(`${cli} get greeting`)).stdout).not.toContain('hello')
    // Who exposes it says why.
    await ends[1]!.until(/redis\.sock: .*(refused|No such file|ENOENT|ECONNREFUSED)/)
    for (const end of ends) expect((await end.stop('SIGINT')).exit).toBe(0)
  } finally {
    await redis.stop()
  }
  expect((await running.stop()).exit).toBe(0)
})

const hasPostgres = postgres !== undefined
;(hasPostgres ? test : test.skip)(told('tunnels PostgreSQL', hasPostgres), async () => {
  const running = await broker()
  const database = await startPostgres(postgres!)
  try {
    const { port, ends } = await tunnel(database.path)
    const psql = (query: string): Promise<Ended> =>
      typed(`psql -h 127.0.0.1 -p ${port} -U postgres -At -c "${query}"`)
    // The socket is there before the server takes logins.
    await until(async () => (await psql('select 1')).exit === 0)
    expect(await psql('create table t as select generate_series(1, 1000) n')).toMatchObject({ exit: 0 })
    expect(await psql('select count(*), sum(n) from t')).toEqual({
      exit: 0,
      stdout: '1000|500500\n',
      stderr: '',
    })
    expect(await psql('select nonsense')).toMatchObject({ exit: 1, stdout: '' })
    for (const end of ends) expect((await end.stop('SIGINT')).exit).toBe(0)
  } finally {
    await database.stop()
  }
  expect((await running.stop()).exit).toBe(0)
})

test('finds with doctor what is wrong with a setup, and that nothing is', async () => {
  const running = await broker('--users users.jsonc').catch(() => undefined)
  // There is no such file.
  expect(running).toBe(undefined)
  const right = await broker()
  const found = await typed('selvedge doctor')
  expect(found).toMatchObject({ exit: 0, stderr: '' })
  expect(found.stdout).toMatch(/^ok +tcp/m)
  expect(found.stdout).not.toContain('FAIL')
  await right.stop()
  const gone = await typed('selvedge doctor')
  expect(gone).toMatchObject({ exit: 8, stderr: 'selvedge: 1 thing is wrong\n' })
  expect(gone.stdout).toMatch(/^FAIL +tcp +ECONNREFUSED +→ nothing listens there: start a broker/m)
  const wrong = await typed(`selvedge doctor --server ${env.SELVEDGE_SERVER!.replace('http', 'htp')}`)
  expect(wrong.exit).toBe(8)
})
