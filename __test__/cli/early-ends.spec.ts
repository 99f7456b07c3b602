// The other side of `selvedge socket` and `selvedge listen` ends, closes or refuses before stdin was read: what is there
// arrives, or it is said that it did not.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, connect as dial, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { connect, FabricError, type ServerSocket } from 'selvedge'
import { Input } from '../../lib/cli/input'
import { endOf, join as joinTo } from '../../lib/cli/joining'
import { Command, ENTRY, type Ended } from '../support/command'
import { commandSuite } from '../support/command-suite'

jest.setTimeout(60_000)

const { env, start, run } = commandSuite()
const SELVEDGE = `'${process.execPath}' '${ENTRY}'`
const ROUNDS = 4
const SMALL = 'one\ntwo\nthree\n'

let folder: string
const commands: Command[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  writeFileSync(join(folder, 'empty'), '')
  writeFileSync(join(folder, 'small'), SMALL)
})
afterEach(async () => {
  await Promise.all(commands.splice(0).map(command => command.stop('SIGKILL')))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A whole line for a shell, in which a file can be stdin. */
function shell(line: string): Command {
  const command = new Command(`exec ${line.replace(/\bselvedge (?=[a-z])/, `${SELVEDGE} `)}`, env, folder)
  commands.push(command)
  return command
}

async function repeated(line: string): Promise<Ended[]> {
  const all: Ended[] = []
  for (let round = 0; round < ROUNDS; round += 1) all.push(await shell(line).ended)
  return all
}

/** Serves in this process until the test is over. */
async function serving(
  subject: string,
  serve: (socket: ServerSocket) => void,
  test: () => Promise<void>,
  mayEnter: () => void = () => {},
): Promise<void> {
  const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
  const server = client.socket.listen(subject)
  server.use(mayEnter as () => undefined)
  server.on('connection', serve)
  await server.waitUntilReady()
  try {
    await test()
  } finally {
    await client.close()
  }
}

describe.each(['--bytes', '--lines'])('a server that closes at once: %s', form => {
  test.each([
    [`selvedge socket early ${form} < small`],
    [`cat small | ${SELVEDGE} socket early ${form}`],
    [`selvedge socket early --wait ${form} < small`],
  ])('%s', line =>
    serving(
      'early',
      socket => void socket.close(),
      async () => {
        for (const ended of await repeated(line.startsWith('cat') ? `bash -o pipefail -c "${line}"` : line)) {
          const stderr = expect.stringMatching(/^selvedge: closed by the peer; .* delivered /) as string
          expect(ended).toEqual({ exit: 7, stdout: '', stderr })
        }
      },
    ),
  )

  test.each(['/dev/null', 'empty'])('nothing is lost of %s', input =>
    serving(
      'early',
      socket => void socket.close(),
      async () => {
        expect(await shell(`selvedge socket early ${form} < ${input}`).ended).toEqual({
          exit: 0,
          stdout: '',
          stderr: '',
        })
      },
    ),
  )

  test('a pipe that gives nothing and does not end holds nothing up', () =>
    serving(
      'early',
      socket => void socket.close(),
      async () => {
        expect((await start('socket', 'early', form).ended).exit).toBe(0)
      },
    ))
})

test('lines of --request that a server which closes at once has not answered', () =>
  serving(
    'early',
    socket => void socket.close(),
    async () => {
      for (const { exit, stderr } of await repeated('selvedge socket early --request < small')) {
        expect([exit, stderr]).toEqual([7, expect.stringMatching(/^selvedge: closed by the peer/)])
      }
    },
  ))

test('what was there for a socket that has closed is looked for', async () => {
  await serving(
    'slow',
    socket => void socket.close(),
    async () => {
      const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
      for (const isLines of [false, true]) {
        const socket = client.socket.connect('slow')
        const ended = endOf(socket as never)
        await once(socket, 'closed')
        // Half a line, and no end.
        const given = new PassThrough()
        given.write('half')
        const joined = joinTo(socket as never, {
          input: new Input(given, isLines, false),
          output: new PassThrough(),
          person: false,
          idle: 0,
          say: () => {},
          ended,
          hasNext: false,
        })
        await expect(joined).rejects.toMatchObject({ exit: 7, message: expect.stringMatching(/stdin/) })
      }
      await client.close()
    },
  )
})

test('a file is read until it is known whether anything is in it, a pipe only for some time', async () => {
  const slow = new PassThrough()
  const found = new Input(slow, false, true).hasMore()
  expect(await new Input(new PassThrough(), false, false).hasMore()).toBe(false)
  slow.end('late')
  expect(await found).toBe(true)
  expect(await new Input(Readable.from([Buffer.from('now')]), false, false).hasMore()).toBe(true)
  expect(await new Input(Readable.from([]), false, true).hasMore()).toBe(false)
})

describe('the other side has ended its input before this one was read', () => {
  test.each(['', '--lines'])('an empty file and another one: %s', async form => {
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [served, asked] of [
        ['empty', 'small'],
        ['small', 'empty'],
      ] as const) {
        const server = shell(`selvedge listen both ${form} < ${served}`)
        await server.until(/listening on/)
        const said = await shell(`selvedge socket both ${form} < ${asked}`).ended
        const heard = await server.ended
        expect([said.exit, heard.exit, said.stdout + heard.stdout]).toEqual([0, 0, SMALL])
      }
    }
  })

  test('a pipe that gives nothing ends with it', async () => {
    const server = start('listen', 'silent')
    await server.until(/listening on/)
    expect((await shell('selvedge socket silent < small').ended).exit).toBe(0)
    expect(await server.ended).toMatchObject({ exit: 0, stdout: SMALL })
  })
})

test.each(['--keep', '--one'])('who comes while another one is joined hears it: %s', async how => {
  const server = shell(`selvedge listen turn ${how} < /dev/null`)
  await server.until(/listening on/)
  const first = start('socket', 'turn')
  first.child.stdin.write('first')
  await server.until(/first/)
  for (const input of ['small', 'empty', '/dev/null']) {
    const { exit, stderr } = await shell(`selvedge socket turn < ${input}`).ended
    expect([exit, stderr]).toEqual([7, expect.stringMatching(/^selvedge: refused: another one is joined/)])
  }
  first.child.stdin.end()
  expect((await first.ended).exit).toBe(0)
  if (how === '--keep') {
    expect((await run(['socket', 'turn', '--wait'], 'second')).exit).toBe(0)
    await server.until(/second/)
    await server.stop()
  }
  const { exit, stderr } = await server.ended
  expect([exit, stderr.match(/^refused \w+: another one is joined$/gm)?.length]).toEqual([0, 3])
})

test('many clients of --keep, one after the other, leave nothing behind', async () => {
  const server = shell('selvedge listen many --keep < /dev/null')
  await server.until(/listening on/)
  const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
  for (let n = 0; n < 15; n += 1) {
    const socket = client.socket.connect('many')
    socket.write(Buffer.from(`[${n}]`))
    await socket.end()
    await server.until(new RegExp(`\\[${n}\\]`))
  }
  await client.close()
  expect(await server.stop()).toMatchObject({ exit: 0, stderr: 'listening on many\n' })
})

test('a refusal for want of a permission has its exit code', () =>
  serving(
    'private',
    () => {},
    async () => {
      const { exit, stderr } = await shell('selvedge socket private < /dev/null').ended
      expect([exit, stderr]).toEqual([4, 'selvedge: not you (403)\n'])
    },
    () => {
      throw new FabricError('not you', 403)
    },
  ))

test('a line of pub that was on its way when the connection was lost did not wait too long', async () => {
  const { hostname, port } = new URL(env.SELVEDGE_SERVER!)
  const pairs: [Socket, Socket][] = []
  const relay = createServer(near => {
    const far = dial(Number(port), hostname)
    for (const end of [near, far]) end.on('error', () => {})
    near.pipe(far).pipe(near)
    pairs.push([near, far])
  })
  await once(relay.listen(0, '127.0.0.1'), 'listening')
  const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
  const subscription = await client.subscribe('flight')
  const address = `http://127.0.0.1:${(relay.address() as { port: number }).port}`
  const command = start('pub', 'flight', '--lines', '--json', '--server', address)
  command.child.stdin.write('first\n')
  await subscription.next()
  await command.until(/"published"/)
  // The broker gets the next one, and what it says of it stays here.
  for (const [near, far] of pairs) far.unpipe(near).pause()
  command.child.stdin.write('second\n')
  await subscription.next()
  for (const [near, far] of pairs) for (const end of [near, far]) end.destroy()
  const { exit, stderr } = await command.ended
  expect(exit).toBe(6)
  expect(stderr).toMatch(
    /^selvedge: line 2: publish 'flight': the connection was lost before it was confirmed.*; 1 line was published/m,
  )
  expect(stderr).not.toMatch(/timed out/)
  await client.close()
  relay.close()
})
