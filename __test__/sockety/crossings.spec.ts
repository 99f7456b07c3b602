// Crossings between JavaScript and the engine: what is sent in one tick is one, what has come together is one, and the answers
// to it are one.
import { once } from 'node:events'
import { join } from 'node:path'
import {
  type Connection,
  Draft,
  FastReply,
  MessageHandler,
  type Producer,
  ResponseDraft,
} from 'selvedge/sockety'
import { closeAll, dial, listen, portOf } from './pairs'

interface Native {
  submit(batch: Uint8Array): number
  drain(): Buffer[] | null
  socketyAttach(bytes: Uint8Array): number
}
const { native } = require(join(__dirname, '../../dist/engine/native.js')) as { native: Native }
const { submit, drain, socketyAttach } = native

const MESSAGES = 500
let submits = 0
let buffers = 0
let attached = 0

beforeEach(() => {
  native.submit = batch => {
    submits += 1
    return submit(batch)
  }
  native.drain = () => {
    const parts = drain()
    if (parts !== null) buffers += 1
    return parts
  }
  native.socketyAttach = bytes => {
    attached += 1
    return socketyAttach(bytes)
  }
})

afterEach(async () => {
  Object.assign(native, { submit, drain, socketyAttach })
  await closeAll()
})

/** Two ends; nothing is under way. */
async function ends(handler: MessageHandler): Promise<Connection> {
  const server = await listen()
  server.on('connection', connection => connection.on('message', handler))
  const accepted = once(server, 'connection')
  const near = await dial(portOf(server))
  await accepted
  await near.send(Draft.for('first')()).response()
  submits = buffers = attached = 0
  return near
}

const empty = new ResponseDraft().optimize()
const handler = new MessageHandler()
  .action('answered', message => void message.respond(empty()))
  .use(() => FastReply.Accept)

test.each([
  ['by a number', 'counted', 0],
  ['by a response', 'answered', undefined],
])('a tick of messages answered %s', async (_how, action, answer) => {
  const near = await ends(handler)
  const producer: Producer = Draft.for(action)()
  const answers = Array.from({ length: MESSAGES }, () => near.send(producer).response())
  expect(submits).toBe(0)
  await new Promise(resolve => process.nextTick(resolve))
  expect(submits).toBe(1)
  for (const got of await Promise.all(answers)) {
    if (answer === undefined) expect(got).toMatchObject({ dataSize: 0 })
    else expect(got).toBe(answer)
  }
  // Each buffer of events causes one batch at most: the answers to all that was in it.
  expect(submits).toBeLessThanOrEqual(1 + buffers)
  // It is the network that cuts, and it does not cut 12 kB into many pieces.
  expect(buffers).toBeLessThan(MESSAGES / 10)
})

test('an answer goes with all that its buffer has caused, and waits for nobody', async () => {
  const near = await ends(handler)
  const done: number[] = []
  await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      await near.send(Draft.for('counted')()).response()
      done.push(n)
    }),
  )
  expect(done).toEqual(Array.from({ length: 50 }, (_, n) => n))
  expect(submits).toBeLessThanOrEqual(1 + buffers)
})

test('messages that nobody answers, and that nobody waits for, cross once, with one report for all', async () => {
  const near = await ends(handler)
  const producer = Draft.for('counted').data('some data')()
  const passed = Array.from({ length: MESSAGES }, () => near.pass(producer))
  await Promise.all(passed)
  expect(submits).toBe(1)
  expect(new Set(passed).size).toBe(1)
})

test('fixed data is handed over once', async () => {
  const near = await ends(handler)
  const producer = Draft.for('counted').data(Buffer.alloc(100_000, 1))()
  for (let n = 0; n < 20; n++) await near.pass(producer)
  expect(attached).toBe(1)
})
