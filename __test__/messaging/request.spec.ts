import { once } from 'node:events'
import type { Client, Subscription } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { disconnection } from '../support/sockets'

/** Answers with what `answer` makes of the data. */
async function answering(
  client: Client,
  subject: string,
  answer: (data: any) => unknown,
): Promise<Subscription> {
  const subscription = await client.subscribe(subject)
  subscription.emitter.on('message', message => message.respondSync(answer(message.data)))
  return subscription
}

/** Hears and says nothing. */
async function silent(client: Client, subject: string): Promise<Subscription> {
  const subscription = await client.subscribe(subject)
  subscription.emitter.on('message', () => {})
  return subscription
}

describeFabrics('a request', fabric => {
  test('resolves with the first answer', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    await answering(server, 'square', n => n * n)
    const reply = await client.request('square', 12)
    expect(reply.data).toBe(144)
    expect(reply.isRequest()).toBe(false)
  })

  test('that nobody hears rejects at once with 503', async () => {
    const client = fabric.client()
    const error = await rejection(client.request('nobody', 1, { timeout: 600_000 }))
    expect(error).toMatchObject({ code: 503 })
    expect(error.message).toContain("request -- no subscribers matching 'nobody'")
  })

  test('that nobody answers rejects with 408 after its timeout', async () => {
    const client = fabric.client()
    await silent(client, 'a')
    const start = performance.now()
    const error = await rejection(client.request('a', 1, { timeout: 50 }))
    expect(error).toMatchObject({ code: 408, message: expect.stringContaining('timeout') })
    // Not before: it did wait.
    expect(performance.now() - start).toBeGreaterThan(45)
  })

  test('whose listener goes away before it answers does not wait for ever', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    const asked = once((await server.subscribe('a')).emitter, 'message')
    const pending = client.request('a', 1, { timeout: 200 })
    await asked
    await server.close()
    // A broker of ours tells, where its protocol can; nobody else does.
    const isTold = fabric.kind === 'in-process' || fabric.kind === 'selvedge wire'
    expect((await rejection(pending)).code).toBe(isTold ? 'EPIPE' : 408)
    expect((await rejection(client.request('a', 1))).code).toBe(503)
  })

  test('is answered with confirmation by respond', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    const questions = await server.subscribe('a')
    const pending = client.request('a', 'question', { headers: { n: 1 } })
    const { value: question } = await questions.next()
    expect(question!.isRequest()).toBe(true)
    expect(question!.headers).toMatchObject({ n: 1, 'CN-Reply': expect.stringMatching(/^_INBOX\./) })
    expect((await question!.respond('answer', { headers: { n: 2 } })).count).toBe(1)
    const reply = await pending
    expect([reply.data, reply.headers]).toEqual(['answer', { n: 2 }])
  })

  test('whose asker is gone makes respond reject with 408', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    const questions = await server.subscribe('a')
    const pending = rejection(client.request('a', 'question'))
    const { value: question } = await questions.next()
    await client.close()
    expect((await pending).code).toBe('ERR_CLOSED')
    // The broker learns of it when the connection has ended at its side too.
    const reply = String(question!.headers?.['CN-Reply'])
    while (await server.interest(reply));
    expect((await rejection(question!.respond('answer', { timeout: 50 }))).code).toBe(408)
  })

  test('is the only message that can be answered', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    client.publishSync('a', 1)
    const { value: message } = await subscription.next()
    expect(() => message!.respondSync(2)).toThrow(expect.objectContaining({ code: 'ERR_NOT_A_REQUEST' }))
    expect((await rejection(message!.respond(2))).code).toBe('ERR_NOT_A_REQUEST')
  })

  test('is not answered again by whoever got the answer, even if its headers were copied', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    const questions = await server.subscribe('a')
    questions.emitter.on('message', message => message.respond('answer', { headers: message.headers }))
    const reply = await client.request('a', 'question', { headers: { kept: 1 } })
    expect(reply.headers).toMatchObject({ kept: 1 })
    expect(reply.isRequest()).toBe(false)
    expect(() => reply.respondSync('again')).toThrow(expect.objectContaining({ code: 'ERR_NOT_A_REQUEST' }))
  })

  test('with noThrow resolves with undefined, and a publish with a count of 0', async () => {
    const client = fabric.client()
    expect(await client.request('nobody', 1, { noThrow: true })).toBeUndefined()
    const options = { noThrow: true, waitForInterest: true, timeout: 20 }
    expect(await client.publish('nobody', 1, options)).toMatchObject({ count: 0 })
  })

  test('hands over an answer that says `error` as it is', async () => {
    const client = fabric.client()
    const questions = await client.subscribe('a')
    questions.emitter.on('message', message =>
      message.respondSync(null, { headers: { error: 'no', code: 7 } }),
    )
    expect((await client.request('a')).headers).toEqual({ error: 'no', code: 7 })
  })

  test('is one of thousands at a time, and each gets its own answer', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    await answering(server, 'echo', n => n)
    const asked = Array.from({ length: 2000 }, (_, n) => client.request('echo', n))
    expect((await Promise.all(asked)).map(reply => reply.data)).toEqual([...Array(2000).keys()])
  })
})

describeFabrics('waiting for interest', fabric => {
  test('a request with waitForInterest is sent once somebody listens', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    const pending = client.request('late', 3, { waitForInterest: true })
    expect((await rejection(client.request('late', 3))).code).toBe(503)
    await answering(server, 'late', n => n + 1)
    expect((await pending).data).toBe(4)
  })

  test('a publish with waitForInterest waits, and gives up with 408', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    const pending = client.publish('late', 'hello', { waitForInterest: true })
    expect((await client.publish('late', 'lost')).count).toBe(0)
    const subscription = await server.subscribe('late')
    expect((await pending).count).toBe(1)
    expect((await subscription.next()).value!.data).toBe('hello')
    const hopeless = client.publish('never', 1, { waitForInterest: true, timeout: 30 })
    expect(await rejection(hopeless)).toMatchObject({
      code: 408,
      message: expect.stringContaining('operation has timed out'),
    })
  })

  test('waitForInterest resolves when somebody comes, and says at once whether with a timeout of 0', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    expect(await client.waitForInterest('a.b', { timeout: 0 })).toBe(false)
    expect(await client.interest('a.b')).toBe(false)
    const waiting = client.waitForInterest('a.b')
    await client.interest('a.b')
    await server.subscribe('a.*')
    expect(await waiting).toBe(true)
    expect(await client.interest('a.b')).toBe(true)
    expect(await client.waitForInterest('a.b', { timeout: 0 })).toBe(true)
  })

  test('waitForInterest rejects with 408 when nobody comes, and can be aborted', async () => {
    const client = fabric.client()
    expect(await rejection(client.waitForInterest('a', { timeout: 30 }))).toMatchObject({
      code: 408,
      message: expect.stringContaining('operation has timed out'),
    })
    const controller = new AbortController()
    const waiting = rejection(client.waitForInterest('a', { signal: controller.signal }))
    controller.abort()
    expect((await waiting).code).toBe('ABORT_ERR')
  })

  test('outlasts a lost connection', async () => {
    const [server, client] = [fabric.client(), fabric.client()]
    const publish = client.publish('late', 'hello', { waitForInterest: true })
    const waiting = client.waitForInterest('late')
    await client.interest('late')
    client.conn.io.engine.close()
    await disconnection(client)
    await client.waitUntilReady()
    await client.interest('late')
    await server.subscribe('late')
    expect(await waiting).toBe(true)
    expect((await publish).count).toBe(1)
  })
})

describeFabrics('aborting', fabric => {
  test('a request rejects with ABORT_ERR and the reason, and leaves nothing behind', async () => {
    const client = fabric.client()
    await silent(client, 'a')
    const controller = new AbortController()
    const pending = rejection(client.request('a', 1, { signal: controller.signal }))
    controller.abort('enough')
    expect(await pending).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
  })

  test('before the request sends nothing', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const signal = AbortSignal.abort()
    expect((await rejection(client.request('a', 'aborted', { signal }))).code).toBe('ABORT_ERR')
    client.publishSync('a', 'after')
    expect((await subscription.next()).value!.data).toBe('after')
  })
})

describeFabrics('what an error shows', fabric => {
  test('the line of the caller is in its stack, although it was made later', async () => {
    const client = fabric.client()
    const lines: number[] = []
    const calls = [
      async () => {
        lines.push(lineOf(new Error('here')))
        await client.request('nobody')
      },
      async () => {
        lines.push(lineOf(new Error('here')))
        await client.subscribe('a..b')
      },
      async () => {
        lines.push(lineOf(new Error('here')))
        await client.waitForInterest('nobody', { timeout: 10 })
      },
    ]
    const shown: number[] = []
    for (const call of calls) shown.push(lineOf(await rejection(call())))
    expect(shown).toEqual(lines.map(line => line + 1))
  })
})

/** The line of this file that the stack of an error names first. */
function lineOf(error: Error): number {
  return Number(/request\.spec\.ts:(\d+)/.exec(error.stack!)?.[1])
}
