// What a signal cuts off, and what a program of `listen --exec` fails to do, is no end in order at the other side;
// what is complete is.
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { connect } from 'selvedge'
import { Input } from '../../lib/cli/input'
import { endOf, join as joinTo } from '../../lib/cli/joining'
import { Command, ENTRY, type Ended } from '../support/command'
import { commandSuite } from '../support/command-suite'
import { until } from '../support/events'

jest.setTimeout(60_000)

const { env, start } = commandSuite()
const SELVEDGE = `'${process.execPath}' '${ENTRY}'`
/** Where `script` of util-linux gives a command a terminal, and `/dev/full` is. */
const onLinux = process.platform === 'linux' ? test : test.skip
const WIRES = ['selvedge', 'conat']
const SIGNALS = ['SIGINT', 'SIGTERM'] as const
const STOPPED_READING =
  /gave up what it had begun to write: stopped by a signal before the other side had ended/
const STOPPED = /gave up what it had begun to write: stopped by a signal before the end of stdin/

let folder: string
const lines: Command[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  writeFileSync(join(folder, 'empty'), '')
  writeFileSync(join(folder, 'small'), 'hello world\n')
})
afterEach(async () => {
  await Promise.all(lines.splice(0).map(command => command.stop('SIGKILL')))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A whole line for a shell, in which a file can be stdin. */
function shell(line: string): Command {
  const command = new Command(`exec ${line.replace(/\bselvedge (?=[a-z])/, `${SELVEDGE} `)}`, env, folder)
  lines.push(command)
  return command
}

async function listening(line: string): Promise<Command> {
  const server = shell(line)
  await server.until(/listening on/)
  return server
}

describe.each(WIRES)('over %s', wire => {
  describe.each(SIGNALS)('%s in the middle of stdin', signal => {
    test('an upload', async () => {
      const server = await listening(`selvedge listen up --wire ${wire} < /dev/null`)
      const client = start('socket', 'up', '--wire', wire)
      client.child.stdin.write('half of it')
      await server.until(/half of it/)
      const [told, said] = await Promise.all([client.stop(signal), server.ended])
      expect([told.exit, said.exit]).toEqual([7, 7])
      expect(told.stderr).toMatch(/^selvedge: stopped by a signal before the end of stdin/)
      expect(said.stderr).toMatch(STOPPED)
    })

    test('a download', async () => {
      const server = start('listen', 'down', '--wire', wire)
      await server.until(/listening on/)
      const client = shell(`selvedge socket down --wire ${wire} < /dev/null`)
      server.child.stdin.write('half of it')
      await client.until(/half of it/)
      const [told, said] = await Promise.all([server.stop(signal), client.ended])
      expect([told.exit, said.exit]).toEqual([7, 7])
      expect(told.stderr).toMatch(/selvedge: stopped by a signal before the end of stdin/)
      expect(said.stderr).toMatch(STOPPED)
    })

    test('a program does not take it for all', async () => {
      const program = 'while read line; do echo "$line"; done; echo whole >&2'
      const server = await listening(`selvedge listen exec --wire ${wire} --exec '${program}'`)
      const client = start('socket', 'exec', '--wire', wire)
      client.child.stdin.write('half\n')
      await client.until(/half/)
      expect((await client.stop(signal)).exit).toBe(7)
      await server.until(/socket \w+: the program was killed: .*stopped by a signal/)
      expect((await server.stop()).stderr).not.toMatch(/^whole/m)
    })
  })

  describe.each(SIGNALS)('%s before the other side has ended', signal => {
    test('an upload', async () => {
      const server = await listening(`selvedge listen half --wire ${wire} < /dev/null`)
      const client = start('socket', 'half', '--wire', wire)
      client.child.stdin.write('half of it')
      await server.until(/half of it/)
      const [told, said] = await Promise.all([server.stop(signal), client.ended])
      expect([told.exit, said.exit]).toEqual([7, 7])
      expect(told.stderr).toMatch(/selvedge: stopped by a signal before the other side had ended/)
      expect(said.stderr).toMatch(STOPPED_READING)
    })

    test('a download', async () => {
      const server = start('listen', 'half', '--wire', wire)
      await server.until(/listening on/)
      const client = shell(`selvedge socket half --wire ${wire} < /dev/null`)
      server.child.stdin.write('half of it')
      await client.until(/half of it/)
      const [told, said] = await Promise.all([client.stop(signal), server.ended])
      expect([told.exit, said.exit]).toEqual([7, 7])
      expect(told.stderr).toMatch(/^selvedge: stopped by a signal before the other side had ended/)
      expect(said.stderr).toMatch(STOPPED_READING)
    })

    test('what an echo has not sent back', async () => {
      const server = await listening(`selvedge listen half --wire ${wire} --echo`)
      const client = start('socket', 'half', '--wire', wire)
      client.child.stdin.write('half of it')
      await client.until(/half of it/)
      const [told, said] = await Promise.all([server.stop(signal), client.ended])
      expect([told.exit, said.exit]).toEqual([0, 7])
      expect(said.stderr).toMatch(/the server was stopped/)
    })

    test('a program that has not ended', async () => {
      const server = await listening(`selvedge listen half --wire ${wire} --exec 'cat; echo all; sleep 1000'`)
      const client = shell(`selvedge socket half --wire ${wire} < small`)
      // It has read to its end.
      await client.until(/all/)
      expect((await client.stop(signal)).exit).toBe(7)
      await server.until(/socket \w+: the program was killed: .*stopped by a signal before the other side/)
      expect((await server.stop()).exit).toBe(0)
    })
  })

  test.each([[''], ['--idle 0']])('a program that fails late is heard of: %s', async idle => {
    await listening(`selvedge listen late --wire ${wire} --exec 'cat; sleep 0.5; exit 3'`)
    const { exit, stdout, stderr } = await shell(`selvedge socket late --wire ${wire} ${idle} < small`).ended
    expect({ exit, stdout }).toEqual({ exit: 7, stdout: 'hello world\n' })
    expect(stderr).toMatch(/the program ended with exit code 3/)
  })

  test('a socket that is lost before it is joined to stdin is lost', async () => {
    const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true, wire: wire as 'selvedge' })
    const server = client.socket.listen('early')
    server.on('connection', socket => void socket.destroy(Error('gone')))
    await server.waitUntilReady()
    const socket = client.socket.connect('early')
    const ended = endOf(socket as never)
    await once(socket, 'closed')
    const joined = joinTo(socket as never, {
      input: new Input(Readable.from([]), false, false),
      output: new PassThrough(),
      person: false,
      idle: 0,
      say: () => {},
      ended,
      hasNext: false,
    })
    await expect(joined).rejects.toMatchObject({ exit: 7, message: expect.stringMatching(/gone/) })
    await client.close()
  })

  test.each<[string, RegExp]>([
    ['cat > /no/such/folder/file', /ended with exit code [12]/],
    ['cat > /dev/null; exit 3', /ended with exit code 3/],
    ['/no/such/program', /ended with exit code 127/],
    ['head -c 1 > /dev/null; exit 1', /ended with exit code 1/],
    ['kill -9 $$', /ended with signal SIGKILL/],
  ])('both sides are told of the program `%s`', async (program, how) => {
    const server = await listening(`selvedge listen fails --wire ${wire} --exec '${program}'`)
    for (let round = 0; round < 3; round += 1) {
      const { exit, stderr } = await shell(`selvedge socket fails --wire ${wire} < small`).ended
      expect({ exit, stderr }).toEqual({ exit: 7, stderr: expect.stringMatching(how) as string })
    }
    const { exit, stderr } = await server.stop()
    const told = stderr.split('\n').filter(line => /^socket \w+: the program /.test(line) && how.test(line))
    expect({ exit, told: told.length }).toEqual({ exit: 0, told: 3 })
  })

  test('what a program has answered before it failed comes first', async () => {
    await listening(`selvedge listen first --wire ${wire} --exec 'cat; exit 3'`)
    const { exit, stdout } = await shell(`selvedge socket first --wire ${wire} < small`).ended
    expect({ exit, stdout }).toEqual({ exit: 7, stdout: 'hello world\n' })
  })
})

test('a program of a server that is stopped has not ended in order', async () => {
  const server = await listening(`selvedge listen stops --exec 'echo begun; sleep 1000'`)
  const client = shell('selvedge socket stops < small')
  await client.until(/begun/)
  expect((await server.stop()).exit).toBe(0)
  const { exit, stderr } = await client.ended
  expect({ exit, stderr }).toEqual({
    exit: 7,
    stderr: expect.stringMatching(/the server was stopped/) as string,
  })
})

test('after the end of stdin a signal cuts nothing off, if nothing has come', async () => {
  const server = await listening(`selvedge listen whole --exec 'cat > /dev/null; touch read; sleep 1000'`)
  const client = shell('selvedge socket whole < small')
  await until(() => existsSync(join(folder, 'read')))
  expect((await client.stop('SIGINT')).exit).toBe(0)
  await server.stop()
})

test('a reader that goes away ends who prints in silence, and is told to who writes', async () => {
  const server = await listening('selvedge listen page < /dev/null | head -c 4')
  const client = start('socket', 'page')
  client.child.stdin.on('error', () => {})
  client.child.stdin.write('a'.repeat(10_000_000))
  const [told, said] = await Promise.all([server.ended, client.ended])
  expect(told).toMatchObject({ exit: 0, stdout: 'aaaa', stderr: 'listening on page\n' })
  expect(said).toMatchObject({ exit: 7, stderr: expect.stringMatching(/nobody reads its stdout any more/) })
})

test('who is served with --keep gives way to the next one when it is cut off', async () => {
  const server = await listening('selvedge listen keeps --keep < /dev/null')
  const cut = start('socket', 'keeps')
  cut.child.stdin.write('cut')
  await server.until(/cut/)
  await cut.stop('SIGINT')
  await server.until(STOPPED)
  expect((await shell('selvedge socket keeps < small').ended).exit).toBe(0)
  await server.until(/hello world/)
  expect((await server.stop()).exit).toBe(0)
})

onLinux('what a person has typed is delivered when a signal comes', async () => {
  const server = await listening('selvedge listen chat --lines < /dev/null')
  const person = new Command(`exec script -qec "exec ${SELVEDGE} socket chat -v" /dev/null`, env)
  lines.push(person)
  await person.until(/connected to chat/)
  person.child.stdin.write('hello\n')
  await server.until(/hello/)
  // What Ctrl-C sends.
  person.child.stdin.write('\x03')
  expect((await person.ended).exit).toBe(0)
  expect((await server.ended).exit).toBe(0)
})

describe('a file that is empty', () => {
  const all: [string, string, string, string][] = [
    ['to nobody that writes', 'selvedge listen none < /dev/null', 'none', ''],
    ['to one like it', 'selvedge listen none < empty', 'none', ''],
    ['to a program', `selvedge listen none --exec 'wc -c'`, 'none', '0\n'],
    ['to an echo', 'selvedge listen none --echo', 'none', ''],
  ]
  test.each(all)('%s', async (_, line, subject, answer) => {
    const server = await listening(line)
    const { exit, stdout } = await shell(`selvedge socket ${subject} --idle 1h < empty`).ended
    expect({ exit, stdout: stdout.trim() }).toEqual({ exit: 0, stdout: answer.trim() })
    if (!/--e/.test(line)) expect((await server.ended).exit).toBe(0)
  })

  test('is downloaded', async () => {
    const server = await listening('selvedge listen none < empty')
    expect((await shell('selvedge socket none < /dev/null').ended).exit).toBe(0)
    expect((await server.ended).exit).toBe(0)
  })
})

test.each(['socket x', 'socket x --request', 'listen x'])('a folder is no stdin of %s', async line => {
  const { exit, stderr } = await shell(`selvedge ${line} < .`).ended
  expect({ exit, stderr }).toEqual({ exit: 2, stderr: 'selvedge: stdin is a folder\n' })
})

onLinux('a stdout that is full is told to who writes', async () => {
  const server = await listening('selvedge listen full < /dev/null > /dev/full')
  const ended: Ended = await shell('selvedge socket full < small').ended
  expect(ended).toEqual({
    exit: 7,
    stdout: '',
    stderr: expect.stringMatching(/cannot write to stdout: .*ENOSPC/) as string,
  })
  expect((await server.ended).exit).toBe(1)
})
