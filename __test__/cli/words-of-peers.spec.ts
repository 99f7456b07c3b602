// What a peer or a broker says of an error is shown, and is no more than text: in a file as on a terminal.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { Command, ENTRY } from '../support/command'

jest.setTimeout(60_000)

/** Where `script` of util-linux gives a command a terminal. */
const onLinux = process.platform === 'linux' ? test : test.skip

const EVIL = '\u001b]0;owned\u0007\u009b31m\u202e\r\nselvedge: forged\rselvedge: forged'
const evil = (): Error => Object.assign(Error(EVIL), { code: EVIL })

/** Of two brokers the second refuses everybody, in these words. */
const brokers: ConatServer[] = []
const running: Command[] = []
let peer: Client

beforeAll(async () => {
  const refuses = (): never => {
    throw evil()
  }
  brokers.push(init({ port: 0 }), init({ port: 0, getUser: refuses }))
  await Promise.all(brokers.map(broker => broker.waitUntilReady()))
  peer = connect({ address: String(brokers[0]!.address()), noCache: true })
  const ends = peer.socket.listen('ends')
  ends.on('connection', socket => socket.on('data', () => socket.destroy(evil())))
  const refusing = peer.socket.listen('refuses')
  refusing.use((_, next) => next(evil()))
  const asked = peer.socket.listen('asked')
  asked.on('connection', socket => socket.on('request', request => request.respond(evil())))
  await Promise.all([ends, refusing, asked].map(server => server.waitUntilReady()))
  const answers = await peer.subscribe('answers')
  answers.emitter.on('message', request => {
    request.respondSync(null, { headers: { error: EVIL, code: EVIL } })
  })
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(command => command.stop('SIGKILL')))
})
afterAll(async () => {
  await peer.close()
  await Promise.all(brokers.map(broker => broker.close()))
})

function start(line: string, broker = brokers[0]!): Command {
  const env = { SELVEDGE_SERVER: String(broker.address()) }
  const command = new Command(line.split(' '), env)
  running.push(command)
  return command
}

function expectShown(text: string): void {
  expect(text).toContain('owned')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none
  expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/)
  expect(text).not.toMatch(/^selvedge: forged/m)
}

async function expectEnd(command: Command): Promise<void> {
  const { stdout, stderr } = await command.ended
  expectShown(stdout + stderr)
}

test.each(['socket ends', 'socket ends --lines', 'socket refuses', 'socket ends -vv'])('%s', async line => {
  const command = start(line)
  command.child.stdin.write('hello\n')
  await expectEnd(command)
})

test.each(['socket asked --request', 'req answers hi', 'req answers hi --replies 1'])('%s', async line => {
  const command = start(line)
  command.child.stdin.end('hello\n')
  await expectEnd(command)
})

test.each(['', ' --keep', ' --echo -v', ' --exec cat'])('listen chat%s', async rest => {
  const command = start(`listen chat${rest}`)
  await command.until(/listening on chat/)
  const socket = peer.socket.connect('chat')
  await socket.waitUntilReady()
  await socket.request('x', { timeout: 1000 }).catch(() => {})
  socket.destroy(evil())
  await command.until(/owned.*\n/)
  const { stdout, stderr } = await command.stop()
  expectShown(stdout + stderr)
})

test('reply, and the subject of who asks', async () => {
  const command = start('reply evil.> --echo -v')
  await command.until(/answering/)
  await peer.request('evil.owned\u202e\u2066', null).catch(() => {})
  await command.until(/request on .*owned/)
  expectShown((await command.stop()).stderr)
})

test.each([
  'pub x 1',
  'sub x',
  'req x 1',
  'reply x 1',
  'socket x',
  'listen x',
  'expose x 1',
  'forward x 0',
  'netstat',
  'top --once',
  'bench request',
  'doctor',
])('%s, where the broker refuses', async line => {
  const server = String(brokers[1]!.address())
  await expectEnd(start(`${line} --server ${server}`))
})

onLinux('the JSON of a terminal', async () => {
  const command = new Command(
    `exec script -qefc "'${process.execPath}' '${ENTRY}' doctor --json --server ${brokers[1]!.address()}" /dev/null`,
  )
  running.push(command)
  const { stdout } = await command.ended
  expectShown(stdout.replaceAll('\r\n', '\n'))
  const line = stdout.split('\r\n').find(text => text.includes('owned'))
  expect(JSON.parse(line!)).toMatchObject({ level: 'FAIL', text: expect.stringContaining(EVIL) })
})

test('an error of megabytes is one line of a length that can be read', async () => {
  const long = await peer.subscribe('long')
  long.emitter.on('message', request => {
    request.respondSync(null, { headers: { error: 'owned'.repeat(100_000) } })
  })
  const { stderr } = await start('req long hi').ended
  expect(stderr).toMatch(/^selvedge: (owned){100,}.*… \(\d+ characters\)\n$/)
  expect(stderr.length).toBeLessThan(3000)
})

test('stderr is written in one place, but for what a person is asked and a bar of progress', () => {
  const folder = join(__dirname, '../../lib/cli')
  const writing = readdirSync(folder).filter(name =>
    readFileSync(join(folder, name), 'utf8').includes('stderr.write'),
  )
  expect(writing.sort()).toEqual(['bench.ts', 'connection.ts', 'terminal.ts'])
})
