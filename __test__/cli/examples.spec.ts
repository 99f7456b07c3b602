// Every example in the help of a command is run as it stands.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ConatServer, init } from 'selvedge'
import { Command, ENTRY, runCommand } from '../support/command'

// A command starts in half a second, in several on a busy machine.
jest.setTimeout(120_000)

/** What runs until it is stopped, and what it says when it is ready. */
const LASTING = /^selvedge (?:broker(?!.*--check)|sub|reply|listen|expose|forward) /
const READY = /listening|answering|exposing|forwarding/

let broker: ConatServer
let client: Client
let folder: string
let env: Record<string, string>

beforeAll(async () => {
  broker = init({ port: 0, systemAccountPassword: 'secret' })
  await broker.waitUntilReady()
  client = broker.client()
  for (const subject of ['math.square', 'who.is.there']) {
    const subscription = await client.subscribe(subject)
    void (async () => {
      for await (const request of subscription) request.respondSync(1)
    })()
  }
  for (const subject of ['chat', 'backup', 'calc']) {
    const server = client.socket.listen(subject)
    server.on('connection', socket => {
      socket.on('data', () => {})
      socket.on('request', request => request.respondSync(1))
    })
    await server.waitUntilReady()
  }
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  writeFileSync(join(folder, 'selvedge'), `#!/bin/sh\nexec '${process.execPath}' '${ENTRY}' "$@"\n`, {
    mode: 0o755,
  })
  writeFileSync(join(folder, 'data.tar'), 'an archive')
  writeFileSync(join(folder, 'monitor.secret'), 'secret\n')
  env = { SELVEDGE_SERVER: String(broker.address()), PATH: `${folder}:${process.env.PATH}` }
})

afterAll(async () => {
  await client.close()
  await broker.close()
  rmSync(folder, { recursive: true })
})

const COMPLETION = execFileSync(process.execPath, [ENTRY, 'completion', 'fish'], { encoding: 'utf8' })
const NAMES = [...COMPLETION.matchAll(/use_subcommand -a (\w+)/g)].map(([, name]) => name!)

test('there are commands', () => {
  expect(NAMES.length).toBeGreaterThan(10)
})

test.each(NAMES)('%s has examples in its help, and they work', async name => {
  const help = (await runCommand([name, '--help'], { env })).stdout
  const [, list = ''] = help.split('Examples:\n')
  const lines = [...list.matchAll(/^ {2}\$ (.+)$/gm)].map(([, line]) => line!)
  expect(lines).not.toEqual([])
  for (const line of lines) expect(await outcome(line)).toEqual({ line, exit: 0 })
})

/** The ports of the examples may be taken: those of brokers and tunnels become any. */
async function outcome(line: string): Promise<object> {
  const free = line.replace(/^(selvedge (?:broker|forward .*)) ?(?:-p )?\b(?:\d{4})\b/, (_, head: string) =>
    head.startsWith('selvedge broker') ? `${head} -p 0` : `${head} 0`,
  )
  const runnable = /^selvedge broker(?!.*(?:-p|--unix))/.test(free) ? `${free} -p 0` : free
  // Without `exec` a signal would reach the shell only.
  const command = new Command(LASTING.test(`${line} `) ? `exec ${runnable}` : runnable, env, folder)
  command.child.stdin.end('x\n')
  if (LASTING.test(`${line} `)) {
    await command.until(READY)
    command.child.kill('SIGTERM')
  }
  const { exit, stderr } = await command.ended
  return exit === 0 ? { line, exit } : { line, exit, stderr }
}
