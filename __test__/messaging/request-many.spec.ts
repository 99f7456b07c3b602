import { once } from 'node:events'
import type { Client, Message } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { answerForLonger, rejection } from '../support/messages'

/** Clients that answer with their number and never again. */
async function crowd(fabric: Fabric, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const subscription = await fabric.client().subscribe('ping')
      subscription.emitter.on('message', message => message.respondSync(n))
    }),
  )
}

/** A client that answers with 1, 2, 3 and so on, one after the other has left. */
async function counter(client: Client, last: number): Promise<void> {
  const subscription = await client.subscribe('count')
  subscription.emitter.on('message', async (message: Message) => {
    for (let n = 1; n <= last; n++) message.respondSync(n)
  })
}

async function all(answers: AsyncIterable<Message>): Promise<unknown[]> {
  const data: unknown[] = []
  for await (const message of answers) data.push(message.data)
  return data
}

describeFabrics('requestMany', fabric => {
  test('with noThrow ends without an answer where nobody listens', async () => {
    const client = fabric.client()
    expect(await all(client.requestMany('nobody', 1, { noThrow: true }))).toEqual([])
    expect(await all(await client.requestMany('nobody', 1, { noThrow: true }))).toEqual([])
  })

  test('iterates over the answers of all listeners, and ends after maxMessages', async () => {
    await crowd(fabric, 4)
    const answers = await all(fabric.client().requestMany('ping', null, { maxMessages: 4 }))
    expect(answers.sort()).toEqual([0, 1, 2, 3])
  })

  test('ends after maxWait without an answer', async () => {
    await crowd(fabric, 3)
    const answers = await all(fabric.client().requestMany('ping', null, { maxWait: 100 }))
    expect(answers.sort()).toEqual([0, 1, 2])
  })

  test('goes on past its timeout while each answer comes within maxWait of the one before', async () => {
    const [timeout, subscription] = [600, await fabric.client().subscribe('many')]
    subscription.emitter.on('message', message => answerForLonger(message, timeout))
    let last: unknown
    for await (const { data } of fabric.client().requestMany('many', null, { timeout, maxWait: 20_000 })) {
      last = data
      if (data === 'last') break
    }
    expect(last).toBe('last')
  })

  test('ends at its timeout', async () => {
    await crowd(fabric, 2)
    const answers = await all(fabric.client().requestMany('ping', null, { timeout: 150 }))
    expect(answers.sort()).toEqual([0, 1])
  })

  test('can be awaited first, to be told whether anybody listens', async () => {
    const client = fabric.client()
    const error = await rejection(client.requestMany('count'))
    expect(error).toMatchObject({ code: 503 })
    expect(error.message).toContain('requestMany -- no subscribers matching')
    await counter(fabric.client(), 3)
    expect(await all(await client.requestMany('count', null, { maxMessages: 3 }))).toEqual([1, 2, 3])
  })

  test('that is awaited tells of the first answer, or of its end', async () => {
    const silent = await fabric.client().subscribe('silent')
    silent.emitter.on('message', () => {})
    await crowd(fabric, 1)
    const client = fabric.client()
    const answers = await client.requestMany('ping', null, { maxMessages: 1 })
    expect(await all(answers)).toEqual([0])
    expect(await all(await client.requestMany('silent', null, { timeout: 150 }))).toEqual([])
  })

  test('throws 503 into the loop when it was not awaited', async () => {
    expect((await rejection(all(fabric.client().requestMany('count')))).code).toBe(503)
  })

  test('that fails before it is iterated or awaited tells whoever does that later, and the process never', async () => {
    const client = fabric.client()
    client.socket.listen('over')
    const socket = client.socket.connect('over')
    await socket.waitUntilReady()
    const closed = once(socket, 'closed')
    const many = [
      client.requestMany('count'),
      client.requestMany('count'),
      client.callMany('count').method(),
      client.callMany('count').method(),
      client.requestMany('count', 1, { signal: AbortSignal.abort() }),
      client.requestMany('count', 1, { maxWait: -1 }),
      socket.requestMany(1),
    ]
    socket.close()
    await closed
    await rejection(client.requestMany('count'))
    // What is unhandled is reported between turns; the helper of the fabric sees it.
    await new Promise(setImmediate)
    const codes = async (each: AsyncIterable<unknown>, i: number): Promise<unknown> => {
      const ended = i % 2 === 0 ? all(each as AsyncIterable<Message>) : (each as unknown as Promise<unknown>)
      return (await rejection(ended)).code
    }
    const told = await Promise.all(many.map(codes))
    expect(told).toEqual([503, 503, 503, 503, 'ABORT_ERR', 'ERR_OUT_OF_RANGE', 'EPIPE'])
    void client.requestMany('count')
    await rejection(client.requestMany('count'))
  })

  test('hands one responder’s answers over in order', async () => {
    await counter(fabric.client(), 1000)
    const answers = await all(fabric.client().requestMany('count', null, { maxMessages: 1000 }))
    expect(answers).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
  })

  test('stops waiting when the loop is left', async () => {
    await counter(fabric.client(), 10)
    for await (const message of fabric.client().requestMany('count')) if (message.data === 2) break
    // Nothing waits any more: the fabric helper sees what would keep the process alive.
  })

  test('is aborted by its signal', async () => {
    await counter(fabric.client(), 2)
    const controller = new AbortController()
    const seen: unknown[] = []
    const loop = async () => {
      for await (const message of fabric.client().requestMany('count', null, { signal: controller.signal })) {
        seen.push(message.data)
        if (message.data === 2) controller.abort()
      }
    }
    expect((await rejection(loop())).code).toBe('ABORT_ERR')
    expect(seen).toEqual([1, 2])
  })

  test.each([{ maxMessages: 0 }, { maxWait: -1 }, { timeout: 0 }])(
    'refuses limits that are not positive: %p',
    async options => {
      const error = await rejection(fabric.client().requestMany('count', null, options))
      expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
      expect(error.message).toContain('must be positive')
    },
  )
})
