// A command whose stdout or stderr cannot be written to: it ends, in order, and says why if there is a reason to.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConatServer, init } from 'selvedge'
import { Command, ENTRY } from '../support/command'

jest.setTimeout(60_000)

/** Every write to it fails with ENOSPC, as on a full disk. */
const FULL = '/dev/full'
const SELVEDGE = `'${process.execPath}' '${ENTRY}'`

let broker: ConatServer
let folder: string
const env: Record<string, string> = {}

beforeAll(async () => {
  broker = init({ port: 0, systemAccountPassword: 'secret' })
  await broker.waitUntilReady()
  env.SELVEDGE_SERVER = String(broker.address())
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  writeFileSync(join(folder, 'password'), 'secret\n')
})

afterAll(async () => {
  await broker.close()
  rmSync(folder, { recursive: true })
})

/** Runs a line of a shell, in which `selvedge` is the command. */
async function shell(line: string) {
  const command = new Command(line.replace(/\bselvedge (?=[a-z-])/g, `${SELVEDGE} `), env, folder)
  command.child.stdin.end()
  return command.ended
}

const onLinux = existsSync(FULL) ? describe : describe.skip

onLinux('a full stdout', () => {
  test.each([
    'selvedge --version',
    'selvedge --help',
    'selvedge completion bash',
    'selvedge token',
    'echo secret | selvedge passwd',
    'selvedge broker -p 0',
    'selvedge broker -p 0 --json',
    'selvedge broker -p 0 --check',
    'selvedge pub a 1 --json',
    'selvedge sub a --json',
    'selvedge reply a --echo --json',
    'selvedge listen a --json',
    'selvedge expose a 1 --json',
    'selvedge forward a 0',
    'selvedge forward a 0 --json',
    'selvedge netstat --system-password-file password',
    'selvedge netstat --sockets --system-password-file password',
    'selvedge top --system-password-file password',
    'selvedge bench request --duration 200ms',
    'selvedge doctor',
  ])('ends %s with 1, and is told of', async line => {
    const { exit, stderr } = await shell(`${line} >${FULL}`)
    expect(stderr).toMatch(/^selvedge: cannot write to stdout: ENOSPC.*\(ENOSPC\)$/m)
    expect(stderr).not.toMatch(/^ {4}at /m)
    expect(exit).toBe(1)
  })

  test('ends what waits for messages and answers, too', async () => {
    const lines = ['sub full.sub', 'req full.req 1', 'socket full.socket', 'socket full.socket --lines']
    const serving = [
      new Command(['reply', 'full.req', 'x'], env),
      new Command(['listen', 'full.socket', '--echo'], env),
    ]
    await Promise.all(serving.map(command => command.until(/ing on/)))
    const running = lines.map(line => shell(`echo hello | selvedge ${line} >${FULL}`))
    const publishing = new Command(['pub', 'full.sub', '1', '--wait', '-q'], env)
    for (const ended of running) {
      expect(await ended).toMatchObject({ exit: 1, stderr: expect.stringMatching(/cannot write to stdout/) })
    }
    await publishing.ended
    await Promise.all(serving.map(command => command.stop()))
  })
})

onLinux('a full stderr', () => {
  test.each<[string, number]>([
    ['selvedge pub a 1', 0],
    ['selvedge req nobody.there 1', 5],
    ['selvedge pub "a b" 1', 2],
    ['selvedge pub a 1 --server http://127.0.0.1:1', 3],
  ])('changes nothing: %s', async (line, exit) => {
    expect(await shell(`${line} 2>${FULL}`)).toMatchObject({ exit })
  })
})

test.each([
  'selvedge doctor',
  'selvedge completion fish',
  'selvedge top --interval 100 --system-password-file password',
])('a reader that goes away is no failure of %s', async line => {
  const { exit, stderr } = await shell(`set -o pipefail; ${line} | head -1`)
  expect(stderr).not.toMatch(/selvedge:|EPIPE/)
  expect(exit).toBe(0)
})

test('a folder as stdin is wrong use', async () => {
  const { exit, stderr } = await shell('selvedge pub a < .')
  expect({ exit, stderr }).toEqual({ exit: 2, stderr: 'selvedge: stdin is a folder\n' })
})

test('a signal ends a command that waits for stdin', async () => {
  const command = new Command(['pub', 'a', '--lines', '--json'], env)
  command.child.stdin.write('one\n')
  await command.until(/published/)
  expect(await command.stop('SIGINT')).toMatchObject({ exit: 0 })
})
