// Ends of sockets whose broker is gone for good: `--resume` is how long they wait for it.
import { type ConatServer, init } from 'selvedge'
import { Command } from '../support/command'

jest.setTimeout(60_000)

const LOST = /selvedge: the broker has been away for 0\.3 s.*\(ERR_SOCKET_LOST\)\n/

let broker: ConatServer
const running: Command[] = []

beforeEach(async () => {
  broker = init({ port: 0 })
  await broker.waitUntilReady()
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(command => command.stop('SIGKILL')))
  await broker.close()
})

function start(...args: string[]): Command {
  const command = new Command([...args, '--resume', '300ms'], { SELVEDGE_SERVER: String(broker.address()) })
  running.push(command)
  return command
}

/** Two ends that have talked. */
async function joined(...rest: string[]): Promise<[Command, Command]> {
  const listening = start('listen', 'x', ...rest)
  await listening.until(/listening on x/)
  const calling = start('socket', 'x')
  calling.child.stdin.write('hello')
  await (rest.includes('--exec') ? calling : listening).until(/hello/)
  return [listening, calling]
}

test('socket and listen end, and say why', async () => {
  const ends = await joined()
  await broker.close()
  for (const { ended } of ends) {
    expect(await ended).toMatchObject({ exit: 7, stderr: expect.stringMatching(LOST) })
  }
})

test('socket --request, while it waits for a line', async () => {
  const listening = start('listen', 'x', '--echo')
  await listening.until(/listening on x/)
  const asking = start('socket', 'x', '--request')
  asking.child.stdin.write('hello\n')
  await asking.until(/hello/)
  await broker.close()
  expect(await asking.ended).toMatchObject({ exit: 7, stderr: expect.stringMatching(LOST) })
})

test('listen --keep says so, and waits for the next client', async () => {
  const [listening] = await joined('--keep')
  const { port } = new URL(String(broker.address()))
  await broker.close()
  await listening.until(LOST)
  broker = init({ port: Number(port) })
  await broker.waitUntilReady()
  await listening.until(/connected again/)
  const next = start('socket', 'x', '--wait')
  next.child.stdin.write('next')
  await listening.until(/next/)
})

test('a program of listen --exec is killed', async () => {
  const [listening] = await joined('--exec', 'cat')
  await broker.close()
  await listening.until(/the program was killed: the broker has been away for 0\.3 s\n/)
})

test('a broker that is back in time ends nothing', async () => {
  const listening = new Command(['listen', 'x'], { SELVEDGE_SERVER: String(broker.address()) })
  running.push(listening)
  await listening.until(/listening on x/)
  const calling = new Command(['socket', 'x'], { SELVEDGE_SERVER: String(broker.address()) })
  running.push(calling)
  calling.child.stdin.write('hello')
  await listening.until(/hello/)
  const { port } = new URL(String(broker.address()))
  await broker.close()
  broker = init({ port: Number(port) })
  await broker.waitUntilReady()
  calling.child.stdin.end(' again')
  await listening.until(/hello again/)
  listening.child.stdin.end()
  expect((await calling.ended).exit).toBe(0)
  expect((await listening.ended).exit).toBe(0)
})
