// Why a connection ended, where the engine knows: the reason that `disconnected` gets.
import { on, once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type Client, connect, init } from 'selvedge'
import { rejection } from '../support/messages'
import { nextDisconnection } from '../support/sockets'

type Broker = ReturnType<typeof init>
const WIRES = ['selvedge', 'conat'] as const
const addressOf = (broker: Broker) => `http://127.0.0.1:${broker.address()!.port}`

describe.each(WIRES)('a client that reads too little (%s)', wire => {
  let broker: Broker
  let reader: Worker

  afterEach(async () => {
    await reader.terminate()
    await broker.close()
  })

  test('is cut off, is told why where the wire has a word for it, and comes back', async () => {
    broker = init({ port: 0 })
    await broker.waitUntilReady()
    const gate = new Int32Array(new SharedArrayBuffer(4))
    reader = new Worker(join(__dirname, '../lifetime/programs/slow-reader.cjs'), {
      workerData: { address: addressOf(broker), wire, subject: 'flood', gate },
    })
    const heard = on(reader, 'message')
    const next = async () => (await heard.next()).value[0]
    const exited = once(reader, 'exit')
    expect(await next()).toEqual({ ready: true })
    reader.postMessage('stop')
    expect(await next()).toEqual({ stopped: true })
    const client = broker.client()
    const payload = Buffer.alloc(1024 * 1024)
    // First whoever publishes too much is refused; then the reader has read nothing for too long.
    const refusals = new Set<unknown>()
    while (broker.totals!.slowConsumers === 0) {
      await client.publish('flood', payload).catch(({ code }) => refusals.add(code))
    }
    expect([...refusals]).toEqual([429])
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
    const { told } = await next()
    if (wire === 'conat') expect(told).toBeUndefined()
    else
      expect(told).toEqual({
        code: 'ERR_SLOW_CONSUMER',
        message: expect.stringMatching(/slow consumer: \d+ op/),
      })
    expect(await next()).toEqual({ back: true })
    await exited
    expect(broker.totals!.slowConsumers).toBe(1)
    await client.close()
  })
})

describe.each([...WIRES, 'in-process'] as const)('a client that may not have its inbox (%s)', wire => {
  let broker: Broker
  let client: Client
  let isForbidden: boolean

  beforeEach(async () => {
    isForbidden = true
    broker = init({
      ...(wire === 'in-process' ? {} : { port: 0 }),
      getUser: () => ({ name: 'ann' }),
      isAllowed: ({ subject }) => !(isForbidden && subject.startsWith('_INBOX.')),
      permissionCache: 0,
    })
    await broker.waitUntilReady()
    const options = { noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 20 }
    client =
      wire === 'in-process'
        ? broker.client(options)
        : connect({ ...options, address: addressOf(broker), wire })
  })

  afterEach(async () => {
    await client.close()
    await broker.close()
  })

  test('is told so, as is whoever waits for it; allowed again, it is ready', async () => {
    const why = { code: 403, message: expect.stringContaining("subscribe to its inbox '_INBOX.") }
    const disconnected = nextDisconnection(client)
    const waiting = [
      rejection(client.waitUntilReady()),
      rejection(client.request('somebody', 1)),
      rejection(client.requestMany('somebody', 1)),
    ]
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject(why)
    expect((await disconnected)[0]).toMatchObject(why)
    // Also later, while it tries again.
    expect(await rejection(client.waitUntilReady())).toMatchObject(why)
    isForbidden = false
    await once(client, 'inbox')
    await client.waitUntilReady()
  })
})
