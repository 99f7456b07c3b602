// Large data: handed over once where it is the same, and received without a copy that could be shared.
import { once } from 'node:events'
import { type Connection, Draft, type Message, type Response, ResponseDraft } from 'selvedge/sockety'
import { closeAll, closed, dial, listen, next, portOf } from './pairs'

afterEach(closeAll)

const SIZES = [1, 32 * 1024 - 1, 32 * 1024, 1_000_000]
const filled = (size: number, value: number): Buffer => Buffer.alloc(size, value)

async function ends(): Promise<{ near: Connection; far: Connection }> {
  const server = await listen()
  const accepted = once(server, 'connection') as Promise<[Connection]>
  const near = await dial(portOf(server))
  return { near, far: (await accepted)[0] }
}

/** The data of the next messages. */
function received(connection: Connection, count: number): Promise<Buffer[]> {
  const got: Promise<Buffer>[] = []
  return new Promise((resolve, reject) => {
    connection.on('message', (message: Message) => {
      if (got.push(message.dataBuffer()) === count) Promise.all(got).then(resolve, reject)
    })
  })
}

test.each(SIZES)('of a draft is what it was when the draft was made: %i bytes', async size => {
  const { near, far } = await ends()
  const all = received(far, 4)
  const data = filled(size, 1)
  const producer = Draft.for('fixed').data(data)()
  data.fill(2)
  for (let n = 0; n < 3; n++) await near.pass(producer)
  await near.pass(Draft.for('given').data()({ data }))
  expect((await all).map(each => each.equals(filled(size, 1)))).toEqual([true, true, true, false])
  expect((await all)[3]!.equals(filled(size, 2))).toBe(true)
})

test.each(SIZES)('that a draft is called with is what it is when it is sent: %i bytes', async size => {
  const { near, far } = await ends()
  const all = received(far, 3)
  const data = Buffer.alloc(size)
  const producer = Draft.for('given').data()({ data })
  for (let n = 0; n < 3; n++) {
    data.fill(n)
    near.send(producer)
  }
  data.fill(9)
  expect((await all).map((each, n) => each.equals(filled(size, n)))).toEqual([true, true, true])
})

test('that goes to all clients is the same for each, also if nothing of it is fixed', async () => {
  const server = await listen()
  const clients = [await dial(portOf(server)), await dial(portOf(server)), await dial(portOf(server))]
  while (server.clients.length < 3) await once(server, 'connection')
  const all = clients.map(client => received(client, 2))
  const data = filled(500_000, 1)
  const producer = Draft.for('all').data()({ data })
  const passed = [server.broadcast(producer)]
  data.fill(2)
  passed.push(server.broadcast(producer))
  data.fill(3)
  await Promise.all(passed)
  for (const got of await Promise.all(all)) {
    expect(got.map(each => each.equals(filled(500_000, each[0]!)))).toEqual([true, true])
    expect(got.map(each => each[0])).toEqual([1, 2])
  }
})

test('a response has it as well, by parts that may be changed and outlive the connection', async () => {
  const { near, far } = await ends()
  const answer = new ResponseDraft().data(filled(300_000, 7)).optimize()
  far.on('message', message => message.respond(answer()))
  const [first, second] = await Promise.all(
    [1, 2].map(async () => (await near.send(Draft.for('ask')()).response()) as Response),
  )
  const parts: Buffer[] = []
  for await (const part of first!.data!) {
    // It is the reader's own: nothing else has this memory.
    ;(part as Buffer).fill(1)
    parts.push(part as Buffer)
  }
  const whole = await second!.dataBuffer()
  const gone = closed(far)
  await near.close()
  await gone
  expect(whole.equals(filled(300_000, 7))).toBe(true)
  expect(Buffer.concat(parts).equals(filled(300_000, 1))).toBe(true)
})

test('what fixed data was kept for goes with its draft', async () => {
  const { near, far } = await ends()
  const gc = globalThis.gc
  far.on('message', message => message.discard())
  const before = process.memoryUsage().external
  const send = async (): Promise<void> => {
    const producer = Draft.for('x').data(filled(8_000_000, 1))()
    for (let n = 0; n < 3; n++) await near.pass(producer)
  }
  for (let n = 0; n < 40; n++) await send()
  // 320 MB were kept at some time; the collector knows of them and has run.
  if (gc !== undefined) gc()
  expect(process.memoryUsage().external - before).toBeLessThan(160_000_000)
  expect((await Promise.all([next<Message>(far, 'message'), near.pass(Draft.for('last')())]))[0].action).toBe(
    'last',
  )
})
