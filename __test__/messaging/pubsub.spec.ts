import { once } from 'node:events'
import { describeFabrics, describeTransports } from '../support/fabrics'
import { read, readData, rejection } from '../support/messages'

describeTransports('publish and subscribe', fabric => {
  test('a message reaches every subscriber, with subject, data and size', async () => {
    const [alice, bob, carol] = [fabric.client(), fabric.client(), fabric.client()]
    const subscriptions = [await bob.subscribe('news.local'), await carol.subscribe('news.local')]
    const { bytes, count } = await alice.publish('news.local', { title: 'hi' })
    fabric.expectCount(count, 2)
    for (const subscription of subscriptions) {
      const [message] = await read(subscription, 1)
      expect(message).toMatchObject({ subject: 'news.local', data: { title: 'hi' }, length: bytes })
      expect(message!.isRequest()).toBe(false)
    }
  })

  test('a publish that nobody hears counts 0, and so does one after the last subscriber has left', async () => {
    const client = fabric.client()
    expect((await client.publish('a.b', 1)).count).toBe(0)
    const subscription = await client.subscribe('a.b')
    expect((await client.publish('a.b', 2)).count).toBe(1)
    subscription.close()
    expect((await client.publish('a.b', 3)).count).toBe(0)
  })

  test('`*` stands for one token, `>` for one or more, and each matching pattern counts', async () => {
    const client = fabric.client()
    const subscriptions = await Promise.all(
      ['a.*', 'a.>', '*.b', 'a.b', 'a.*.c'].map(pattern => client.subscribe(pattern)),
    )
    fabric.expectCount((await client.publish('a.b')).count, 4)
    fabric.expectCount((await client.publish('a.x.c')).count, 2)
    expect((await client.publish('a')).count).toBe(0)
    const subjects = (await read(subscriptions[1]!, 2)).map(message => message.subject)
    expect(subjects).toEqual(['a.b', 'a.x.c'])
    expect((await read(subscriptions[4]!, 1))[0]!.subject).toBe('a.x.c')
  })

  test('the members of a queue share the messages, one gets each', async () => {
    const [alice, bob, publisher] = [fabric.client(), fabric.client(), fabric.client()]
    const got: Record<string, number[]> = { alice: [], bob: [] }
    const all = new Promise<void>(resolve => {
      const take = (who: string) => (message: { data: unknown }) => {
        got[who]!.push(message.data as number)
        if (got.alice!.length + got.bob!.length === 60) resolve()
      }
      alice.subscribeSync('jobs', { queue: 'workers' }).emitter.on('message', take('alice'))
      bob.subscribeSync('jobs', { queue: 'workers' }).emitter.on('message', take('bob'))
    })
    await Promise.all([alice.waitUntilReady(), bob.waitUntilReady()])
    for (let n = 0; n < 60; n++) expect((await publisher.publish('jobs', n)).count).toBe(1)
    await all
    expect([...got.alice!, ...got.bob!].sort((a, b) => a - b)).toEqual([...Array(60).keys()])
    expect(got.alice!.length).toBeGreaterThan(0)
    expect(got.bob!.length).toBeGreaterThan(0)
  })

  fabric.testAtOneBroker('a tap on `>` hears everything, and is no interest', async () => {
    const client = fabric.client()
    const tap = await client.subscribe('>')
    expect((await client.publish('a.b', 'heard')).count).toBe(0)
    expect((await rejection(client.request('a.b', 'asked'))).code).toBe(503)
    expect(await client.interest('a.b')).toBe(false)
    for (;;) {
      const [message] = await read(tap, 1)
      if (message!.subject !== 'a.b') continue
      expect(message!.data).toBe('heard')
      break
    }
  })

  test.each([
    ['absent', undefined],
    ['empty', {}],
    ['null', null],
    ['nested', { a: { b: [1, 'zwei', null] }, ü: true }],
  ])('headers that are %s arrive as they were given', async (_what, headers) => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    await client.publish('a', 1, { headers })
    expect((await read(subscription, 1))[0]!.headers).toEqual(headers)
  })

  test('messages of one publisher arrive in the order in which they were published', async () => {
    const [alice, bob] = [fabric.client(), fabric.client()]
    const subscription = await bob.subscribe('a')
    await alice.waitUntilReady()
    const confirmed: Promise<unknown>[] = []
    for (let n = 0; n < 500; n++) {
      if (n % 2) alice.publishSync('a', n)
      else confirmed.push(alice.publish('a', n))
    }
    expect(await readData(subscription, 500)).toEqual([...Array(500).keys()])
    await Promise.all(confirmed)
  })

  test('publishSync before the client is connected is dropped, publish waits', async () => {
    const [listener, late] = [fabric.client(), fabric.client({ autoConnect: false })]
    const subscription = await listener.subscribe('a')
    expect(late.publishSync('a', 'dropped')).toEqual({ bytes: 8 })
    const waiting = late.publish('a', 'waited')
    late.connect()
    expect((await waiting).count).toBe(1)
    late.publishSync('a', 'sent')
    expect(await readData(subscription, 2)).toEqual(['waited', 'sent'])
  })

  test('subjects with wildcards cannot be published to, and broken ones not subscribed to', async () => {
    const client = fabric.client()
    for (const subject of ['a.*', 'a.>', '', 'a..b', '.a', 'a b']) {
      expect((await rejection(client.publish(subject, 1))).code).toBe('ERR_INVALID_SUBJECT')
    }
    for (const pattern of ['a.>.b', '', 'a..b', 'a.', 'a\tb']) {
      expect((await rejection(client.subscribe(pattern))).code).toBe('ERR_INVALID_SUBJECT')
    }
  })
})

describeFabrics('subscriptions of one client', fabric => {
  test('subscriptions to one pattern share one of the broker, and each gets every message', async () => {
    const client = fabric.client()
    const [one, two] = [await client.subscribe('a.*'), await client.subscribe('a.*')]
    expect(client.numSubscriptions()).toBe(1)
    expect(client.subs['a.*']!.refCount).toBe(2)
    expect(client.queueGroups['a.*']).toBe(one.queue)
    expect((await client.publish('a.b', 1)).count).toBe(1)
    expect(await readData(one, 1)).toEqual([1])
    expect(await readData(two, 1)).toEqual([1])
    one.close()
    expect(client.subs['a.*']!.refCount).toBe(1)
    expect((await client.publish('a.b', 2)).count).toBe(1)
    expect(await readData(two, 1)).toEqual([2])
    two.close()
    expect(client.numSubscriptions()).toBe(0)
    expect(client.subs['a.*']).toBeUndefined()
    expect((await client.publish('a.b', 3)).count).toBe(0)
  })

  test('a pattern has one queue group in a client; another one is refused', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a', { queue: 'one' })
    const error = await rejection(client.subscribe('a', { queue: 'two' }))
    expect(error).toMatchObject({
      code: 'ERR_QUEUE_GROUP',
      message: expect.stringContaining('one queue group'),
    })
    expect((await client.subscribe('a')).queue).toBe('one')
    expect(subscription.ended).toBe(false)
  })

  test('waitUntilReady waits for those that were made without waiting, also of a client that is ready', async () => {
    const [client, other] = [fabric.client(), fabric.client()]
    await client.waitUntilReady()
    const counts: number[] = []
    for (let n = 0; n < 50; n++) {
      client.subscribeSync(`a.${n}`)
      await client.waitUntilReady({ timeout: 10_000 })
      counts.push((await other.publish(`a.${n}`, n)).count)
    }
    expect(counts).toEqual(Array(50).fill(1))
    // Not for one that is gone, and not for ever.
    client.disconnect()
    client.subscribeSync('b').close()
    client.connect()
    await client.waitUntilReady()
    client.subscribeSync('c')
    const waiting = client.waitUntilReady()
    void client.close()
    expect((await rejection(waiting)).code).toBe('ERR_CLOSED')
  })

  test('closing a subscription ends its iterator, also one that waits', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const waiting = subscription.next()
    subscription.close()
    expect(await waiting).toEqual({ value: undefined, done: true })
    expect(await subscription.next()).toEqual({ value: undefined, done: true })
    expect(subscription.ended).toBe(true)
  })

  test('closing the client ends the iterators of its subscriptions', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const loop = (async () => {
      for await (const _message of subscription) throw new Error('nothing was published')
      return 'ended'
    })()
    await client.close()
    expect(await loop).toBe('ended')
  })

  test('leaving the loop closes the subscription', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    client.publishSync('a', 1)
    for await (const message of subscription) {
      expect(message.data).toBe(1)
      break
    }
    expect(subscription.ended).toBe(true)
    expect((await client.publish('a', 2)).count).toBe(0)
  })

  test('a subscription with maxMessages ends after so many', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a', { maxMessages: 2 })
    for (const n of [1, 2, 3]) await client.publish('a', n)
    const data: unknown[] = []
    for await (const message of subscription) data.push(message.data)
    expect(data).toEqual([1, 2])
    expect(client.numSubscriptions()).toBe(0)
  })

  test('the emitter of a subscription emits what arrives', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const heard = once(subscription.emitter, 'message')
    client.publishSync('a', 'hello')
    expect((await heard)[0].data).toBe('hello')
  })

  test('what came before the first listener of the emitter is emitted to it, in order', async () => {
    const client = fabric.client()
    const [early, other] = [await client.subscribe('a'), await client.subscribe('a')]
    for (const n of [1, 2, 3]) await client.publish('a', n)
    await read(other, 3)
    const heard: unknown[] = []
    const all = new Promise<void>(resolve => {
      early.emitter.on('message', message => heard.push(message.data) === 4 && resolve())
    })
    expect(heard).toEqual([])
    await client.publish('a', 4)
    await all
    expect(heard).toEqual([1, 2, 3, 4])
  })

  test('a handler may close other subscriptions: who stays gets the message once, who is gone not at all', async () => {
    const client = fabric.client()
    const all = await Promise.all(['1', '2', '3', '4'].map(() => client.subscribe('a')))
    const heard: unknown[] = []
    for (const [index, subscription] of all.entries()) {
      subscription.emitter.on('message', ({ data }) => {
        heard.push([index, data])
        if (heard.length === 1) for (const other of [0, 3]) if (other !== index) all[other]!.close()
      })
    }
    const end = await client.subscribe('end')
    for (const subject of ['a', 'a', 'end']) await client.publish(subject, subject)
    await read(end, 1)
    const others = [0, 1, 2, 3].map(index => heard.filter(([who]: any) => who === index).length)
    expect(others).toEqual([2, 2, 2, 0])
  })

  test('drain lets nothing more in, and resolves when what has arrived was read', async () => {
    const client = fabric.client()
    const [draining, other] = [await client.subscribe('a'), await client.subscribe('a')]
    for (const n of [1, 2]) await client.publish('a', n)
    await read(other, 2)
    const drained = Promise.all([draining.drain(), draining.drain()])
    await client.publish('a', 3)
    await read(other, 1)
    const data: unknown[] = []
    for await (const message of draining) data.push(message.data)
    expect(data).toEqual([1, 2])
    await drained
  })

  test('beyond maxQueueBytes the newest messages are dropped and counted', async () => {
    const client = fabric.client()
    const bounded = await client.subscribe('a', { maxQueueBytes: 1500 })
    const other = await client.subscribe('a')
    for (let n = 0; n < 10; n++) await client.publish('a', Buffer.alloc(400, n))
    await read(other, 10)
    expect(bounded.dropped).toBe(8)
    expect((await readData(bounded, 2)).map(data => (data as Buffer)[0])).toEqual([0, 1])
    await client.publish('a', 'room again')
    expect(await readData(bounded, 1)).toEqual(['room again'])
    expect(bounded.dropped).toBe(8)
  })

  test.each([
    ['its place', 'a', 1000, undefined],
    ['its headers', 'a', 100_000, { x: 'x'.repeat(30_000) }],
    ['its subject', `a${'x'.repeat(1000)}`, 4200, undefined],
  ])(
    'a message that waits counts %s, too, whether it was looked at or not',
    async (_, subject, most, headers) => {
      const client = fabric.client()
      const bounded = await client.subscribe('*', { maxQueueBytes: most })
      const other = await client.subscribe('*')
      for (const dropped of [7, 14]) {
        for (let n = 0; n < 10; n++) await client.publish(subject, null, { raw: Buffer.alloc(0), headers })
        for (const message of await read(other, 10)) expect(message.headers ?? undefined).toEqual(headers)
        expect(bounded.dropped).toBe(dropped)
        await read(bounded, 3)
      }
    },
  )
})

describeFabrics(
  'a broker that allows few subscriptions',
  fabric => {
    test('refuses one too many with 429, and keeps the others', async () => {
      const client = fabric.client()
      const kept = await client.subscribe('a')
      const outcomes = await Promise.allSettled(
        ['b', 'c', 'd', 'e'].map(subject => client.subscribe(subject)),
      )
      const refused = outcomes.filter(outcome => outcome.status === 'rejected')
      expect(refused.length).toBeGreaterThan(0)
      for (const { reason } of refused)
        expect(reason).toMatchObject({ code: 429, message: expect.stringContaining('limit') })
      await client.publish('a', 1)
      expect(await readData(kept, 1)).toEqual([1])
    })

    test('throws into the loop over a subscription that was made without waiting', async () => {
      const client = fabric.client()
      const subscriptions = ['a', 'b', 'c', 'd', 'e'].map(subject => client.subscribeSync(subject))
      expect((await rejection(subscriptions[4]!.next())).code).toBe(429)
      expect(subscriptions[4]!.ended).toBe(true)
    })
  },
  { maxSubscriptionsPerClient: 3 },
)
