// Crowds at a server that connect and say nothing, or half of what they have to, or come and go: whoever is there is answered,
// and whoever comes is taken.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { Draft, type Server } from 'selvedge/sockety'
import { STALL_MS, stopwatch } from '../support/stall'
import { closeAll, dial, listen, portOf } from './pairs'

jest.setTimeout(60_000)

const ROUNDS = 20

const programs: ChildProcess[] = []

afterEach(async () => {
  for (const program of programs.splice(0)) program.kill()
  await closeAll()
})

/** Another process: connections that say these bytes and stay. It tells how many are open whenever that has not changed for a while. */
const CROWD = `
const [port, hex, count] = process.argv.slice(1)
const net = require('node:net')
let open = 0, opened = 0, told = -1, last = 0
const come = () => {
  if (opened++ >= count) return
  const socket = net.connect(Number(port), '127.0.0.1', () => { open += 1; socket.write(Buffer.from(hex, 'hex')); come() })
  socket.on('error', () => {}).on('close', () => { open -= 1 }).resume()
}
for (let n = 0; n < 50; n++) come()
setInterval(() => {
  if (opened > count && open === last && open !== told) console.log(told = open)
  last = open
}, 200)
`

/** Another one: connections that say these bytes and go, 50 at a time, without end. */
const FLOOD = `
const [port, hex] = process.argv.slice(1)
const net = require('node:net')
const come = () => {
  const socket = net.connect(Number(port), '127.0.0.1', () => socket.write(Buffer.from(hex, 'hex'), () => socket.destroy()))
  socket.on('error', () => {}).on('close', come)
}
for (let n = 0; n < 50; n++) come()
console.log('flooding')
`

/** Resolves with the first line of its output that is right. */
async function start(
  program: string,
  args: unknown[],
  isRight: (line: string) => boolean = () => true,
): Promise<string> {
  const child = spawn(process.execPath, ['-e', program, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  programs.push(child)
  for await (const line of createInterface(child.stdout)) if (isRight(line)) return line
  throw Error('it is gone')
}

/**
 * A server with a neighbour that asks, one time after the other; and how long most answers took, or newcomers, whatever is
 * longer. Not the longest: a newcomer that the kernel has no place for is only seen again after seconds.
 */
async function watched(isSecure: boolean): Promise<{ server: Server; usual: () => Promise<number> }> {
  const server = await listen({ handshakeTimeout: 120_000 }, isSecure)
  server.on('connection', connection => connection.on('message', message => message.accept()))
  const neighbour = await dial(portOf(server), {}, isSecure)
  const usual = async (): Promise<number> => {
    const timed = async (act: () => Promise<unknown>): Promise<number> => {
      const waited = stopwatch()
      await act()
      return waited()
    }
    const [answers, arrivals]: number[][] = [[], []]
    for (let n = 0; n < ROUNDS; n++) {
      answers!.push(await timed(() => neighbour.send(Draft.for('ping')()).response()))
      arrivals!.push(
        await timed(async () => {
          const newcomer = await dial(portOf(server), {}, isSecure)
          await newcomer.send(Draft.for('ping')()).response()
          await newcomer.close(true)
        }),
      )
    }
    const middle = (waits: number[]): number => waits.sort((a, b) => a - b)[ROUNDS / 2]!
    return Math.max(middle(answers!), middle(arrivals!))
  }
  return { server, usual }
}

/** The beginning of a ClientHello. */
const HELLO = '16030100c8010000c40303'

test.each([
  ['nothing', '', false],
  ['nothing, and TLS was expected,', '', true],
  ['half of a ClientHello', HELLO, true],
])('3000 that say %s keep nobody out, and 1000 of them stay', async (_, hex, isSecure) => {
  const { server, usual } = await watched(isSecure)
  await start(CROWD, [portOf(server), hex, 3000], line => Number(line) <= 1000)
  expect(await usual()).toBeLessThan(STALL_MS)
  expect(server.connections).toBeLessThan(5)
})

test.each([
  ['nothing', '', false],
  ['the header', 'e3', false],
  ['what is wrong', 'ffff', false],
  ['half of a ClientHello', HELLO, true],
])('a flood of connections that say %s and go keeps nobody waiting', async (_, hex, isSecure) => {
  const { server, usual } = await watched(isSecure)
  await start(FLOOD, [portOf(server), hex])
  expect(await usual()).toBeLessThan(STALL_MS)
})
