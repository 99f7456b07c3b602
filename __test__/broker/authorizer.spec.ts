// Who comes in, and what they may do.
import { once } from 'node:events'
import { byCookie, describeStages, loose, pending } from '../support/authority'
import { until } from '../support/events'
import { rejection } from '../support/messages'
import { STALL_MS, stopwatch } from '../support/stall'

describeStages('authority', stage => {
  test('getUser is asked once for each connection, with its headers, and says who it is', async () => {
    const visitors: any[] = []
    await stage.start({
      getUser: async visitor => {
        visitors.push(visitor)
        return byCookie(loose(visitor))
      },
    })
    const client = stage.as('ann')
    await client.waitUntilReady()
    expect(client.info!.user).toEqual({ name: 'ann' })
    expect(visitors).toHaveLength(1)
    expect(visitors[0].handshake.headers.cookie).toBe('name=ann')
    expect(visitors[0].handshake.address).toBe(stage.kind === 'in-process' ? '' : '127.0.0.1')
    expect(Object.keys(stage.server.sockets)).toEqual([visitors[0].id])
    expect(stage.server.sockets[visitors[0].id]!.user).toEqual({ name: 'ann' })
    expect(stage.server.getUsage()).toEqual({ total: 1, perUser: { '{"name":"ann"}': 1 } })
    client.conn.io.engine.close()
    await once(client, 'inbox')
    expect(visitors).toHaveLength(2)
    expect(visitors[1].id).not.toBe(visitors[0].id)
  })

  test.each([undefined, () => 'ann'])(
    'who is %p is nobody: a forgotten return lets nobody in',
    async user => {
      await stage.start({ getUser: () => user })
      const stranger = stage.join({ reconnection: false })
      expect(await rejection(stranger.waitUntilSignedIn())).toMatchObject({ code: 'ERR_SIGN_IN' })
      expect(stage.failures).toEqual([
        [expect.objectContaining({ message: expect.stringContaining('must give JSON') }), 'getUser'],
      ])
    },
  )

  test.each([
    ['large', { text: 'x'.repeat(300_000) }, 'at most 262144 bytes'],
    ['deep', Array.from({ length: 70 }).reduce(inner => ({ inner }), {}), 'at most 62 levels'],
  ])('who is too %s to be told to a client is refused, and told why', async (_, user, why) => {
    await stage.start({ getUser: () => user })
    const somebody = stage.join({ reconnection: false })
    expect(await rejection(somebody.waitUntilSignedIn())).toMatchObject({
      code: 'ERR_SIGN_IN',
      message: expect.stringContaining(why),
    })
  })

  test('a user with half of a surrogate pair, or odd names, is that user: to itself, to isAllowed and to others', async () => {
    const json = '{"name":"a\\ud83d","k\\udc00":[1e300,-0.5],"__proto__":{"admin":true}}'
    const asked: unknown[] = []
    await stage.start({
      getUser: () => JSON.parse(json),
      isAllowed: ({ user, subject }) => {
        if (subject === 'mine') asked.push(user)
        return true
      },
    })
    const client = stage.join()
    await client.waitUntilReady()
    await client.publish('mine', 1)
    const user = JSON.stringify(JSON.parse(json))
    const seen = [client.info!.user, ...asked, ...Object.values(stage.server.sockets).map(one => one.user)]
    expect(seen.map(one => JSON.stringify(one))).toEqual([user, user, user])
    expect(({} as { admin?: boolean }).admin).toBe(undefined)
  })

  test('a refused sign-in is told why and leaves nothing behind', async () => {
    await stage.start({ getUser: async visitor => byCookie(loose(visitor)) })
    const stranger = stage.join({ reconnection: false })
    const refusal = await rejection(stranger.waitUntilSignedIn())
    expect(refusal).toMatchObject({ code: 'ERR_SIGN_IN' })
    expect(refusal.message).toBe('failed to sign in - who are you?')
    expect(stage.failures).toEqual([[expect.objectContaining({ message: 'who are you?' }), 'getUser']])
    await until(() => Object.keys(stage.server.sockets).length === 0)
    expect(stage.server.totals).toMatchObject({ connections: 0, subscriptions: 0, connectionsRefused: 1 })
    await stage.as('ann').waitUntilSignedIn()
  })

  test('what is said before getUser has answered keeps its order', async () => {
    const user = pending<null>()
    await stage.start({ getUser: () => user.promise })
    const reader = stage.join()
    const heard: unknown[] = []
    const subscription = reader.subscribeSync('n')
    subscription.emitter.on('message', message => heard.push(message.data))
    const published = Promise.all([1, 2, 3].map(n => reader.publish('n', n)))
    expect(stage.server.totals!.subscriptions).toBe(0)
    user.resolve(null)
    await published
    await until(() => heard.length === 3)
    expect(heard).toEqual([1, 2, 3])
    subscription.close()
  })

  test('what is not allowed is refused with 403 and told as an event, at once the second time', async () => {
    const asked: string[] = []
    await stage.start({
      getUser: visitor => byCookie(loose(visitor)),
      isAllowed: async ({ type, user, subject }) => {
        if (!subject.startsWith('_INBOX')) asked.push(`${type} ${subject} ${user.name}`)
        return !subject.startsWith('secret')
      },
    })
    const client = stage.as('ann')
    const events: unknown[] = []
    client.on('permission', event => events.push(event))
    const publish = await rejection(client.publish('secret.x', 1))
    expect(publish).toMatchObject({
      code: 403,
      message: `permission denied publishing to 'secret.x' from this user`,
    })
    const subscribe = await rejection(client.subscribe('secret.*'))
    expect(subscribe).toMatchObject({
      code: 403,
      message: `permission denied subscribing to 'secret.*' from this user`,
    })
    expect(await rejection(client.waitForInterest('secret.w'))).toMatchObject({ code: 403 })
    expect(await rejection(client.request('secret.r'))).toMatchObject({ code: 403 })
    await until(() => events.length === 4)
    expect(events).toEqual([
      { type: 'pub', subject: 'secret.x', message: publish.message },
      { type: 'sub', subject: 'secret.*', message: subscribe.message },
      expect.objectContaining({ type: 'pub', subject: 'secret.w' }),
      expect.objectContaining({ type: 'pub', subject: 'secret.r' }),
    ])
    const before = asked.length
    expect(() => client.publishSync('secret.x', 1)).toThrow(publish.message)
    expect(() => client.subscribeSync('secret.*')).toThrow(subscribe.message)
    expect(await rejection(client.interest('secret.w'))).toMatchObject({ code: 403 })
    expect(await client.publish('secret.x', 1, { noThrow: true })).toMatchObject({ count: 0 })
    expect(asked.slice(before)).toEqual([])
    const subscription = await client.subscribe('open')
    expect(await client.publish('open', 1)).toMatchObject({ count: 1 })
    subscription.close()
    expect(asked).toEqual(expect.arrayContaining(['pub secret.x ann', 'sub open ann', 'pub open ann']))
    expect(stage.server.totals!.publishesRefused).toBeGreaterThanOrEqual(3)
  })

  test('a stream on one subject is asked about once a second, without a cache every time', async () => {
    let asked = 0
    const isAllowed = ({ subject }: { subject: string }) => {
      if (subject === 'n') asked += 1
      return true
    }
    await stage.start({ isAllowed, permissionCache: 60_000 })
    const client = stage.join()
    for (let n = 0; n < 100; n++) await client.publish('n', n)
    expect(asked).toBe(1)
    await Promise.all([client.close(), stage.server.close()])
    asked = 0
    await stage.start({ isAllowed, permissionCache: 0 })
    const other = stage.join()
    for (let n = 0; n < 100; n++) await other.publish('n', n)
    expect(asked).toBe(100)
  })

  test('what a client has published before it closes is decided, and delivered', async () => {
    const decisions: (() => void)[] = []
    await stage.start({
      permissionCache: 0,
      isAllowed: ({ subject, type }) => {
        if (subject !== 'n' || type !== 'pub') return true
        const decision = pending<boolean>()
        decisions.push(() => decision.resolve(true))
        return decision.promise
      },
    })
    const heard: unknown[] = []
    const subscription = await stage.join().subscribe('n')
    subscription.emitter.on('message', message => heard.push(message.data))
    const writer = stage.join()
    await writer.waitUntilReady()
    for (let n = 0; n < 300; n++) writer.publishSync('n', n)
    const closed = writer.close()
    while (heard.length < 300) {
      for (const decide of decisions.splice(0)) decide()
      await new Promise(setImmediate)
    }
    await closed
    expect(heard).toEqual(Array.from({ length: 300 }, (_, n) => n))
    subscription.close()
  })

  test('order is kept while decisions come in any order', async () => {
    const open: [string, (allowed: boolean) => void][] = []
    await stage.start({
      isAllowed: ({ subject }) => {
        if (!subject.startsWith('n.')) return true
        const decision = pending<boolean>()
        open.push([subject, decision.resolve])
        return decision.promise
      },
    })
    const writer = stage.join()
    const reader = stage.join()
    const heard: unknown[] = []
    const subscription = await reader.subscribe('*.*', {})
    subscription.emitter.on('message', message => heard.push(message.data))
    await writer.waitUntilReady()
    const all = Promise.allSettled([1, 2, 3, 4, 5].map(n => writer.publish(`n.${n}`, n)))
    await until(() => open.length === 5)
    for (const [subject, decide] of open.reverse()) decide(subject !== 'n.2')
    const outcomes = await all
    expect(outcomes.map(outcome => outcome.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ])
    await until(() => heard.length === 4)
    expect(heard).toEqual([1, 3, 4, 5])
    subscription.close()
  })

  test('a revoked permission ends the subscription, and the client hears it; a new one lets it flow again', async () => {
    let isRevoked = false
    await stage.start({
      permissionCache: 60_000,
      getUser: visitor => byCookie(loose(visitor)),
      isAllowed: ({ user, type, subject }) =>
        !(isRevoked && user.name === 'ann' && type === 'sub' && subject === 'news'),
    })
    const ann = stage.as('ann')
    const bob = stage.as('bob')
    const [hers, his] = [await ann.subscribe('news'), await bob.subscribe('news')]
    const heard: unknown[] = []
    hers.emitter.on('message', message => heard.push(message.data))
    his.emitter.on('message', message => heard.push(`bob ${message.data}`))
    expect(await bob.publish('news', 1)).toMatchObject({ count: 2 })
    isRevoked = true
    const told = once(ann, 'permission')
    expect(stage.server.revalidate()).toBe(2)
    expect((await told)[0]).toMatchObject({ type: 'sub', subject: 'news' })
    expect(await bob.publish('news', 2)).toMatchObject({ count: 1 })
    isRevoked = false
    // What it was told a moment ago is not asked about again, until then.
    stage.server.revalidate()
    await until(() => stage.server.interest.serialize().patterns.news === 2)
    expect(await bob.publish('news', 3)).toMatchObject({ count: 2 })
    await until(() => heard.length === 5)
    expect(heard.sort()).toEqual([1, 3, 'bob 1', 'bob 2', 'bob 3'].sort())
    hers.close()
    his.close()
  })

  test('who is denied his inbox is told so at once, and gets on when he has it', async () => {
    let mayHear = false
    await stage.start({
      getUser: byCookie,
      isAllowed: ({ type, subject }) => mayHear || type === 'pub' || !subject.startsWith('_INBOX'),
    })
    const ann = stage.as('ann')
    const refusal = {
      code: 403,
      message: expect.stringContaining("permission denied subscribing to '_INBOX."),
    }
    expect(await rejection(ann.request('anybody'))).toMatchObject(refusal)
    expect(await rejection(ann.publish('anybody', 1))).toMatchObject(refusal)
    // As after a refused sign-in: until an attempt succeeds.
    expect(await rejection(ann.waitUntilReady())).toMatchObject(refusal)
    const ready = once(ann, 'inbox')
    mayHear = true
    await ready
    await ann.waitUntilReady()
    expect(await ann.publish('anybody', 1)).toMatchObject({ count: 0 })
  })

  test('a wait for interest that is not allowed any more ends at once, and hears of nobody', async () => {
    let isAllowed = true
    await stage.start({
      isAllowed: ({ type, subject }) => isAllowed || type === 'sub' || subject !== 'secret.w',
    })
    const [asker, other] = [stage.join(), stage.join()]
    await Promise.all([asker.waitUntilReady(), other.waitUntilReady()])
    const outcome = rejection(asker.waitForInterest('secret.w', { timeout: 60_000 }))
    await until(() => stage.server.totals?.waits === 1)
    isAllowed = false
    const waited = stopwatch()
    stage.server.revalidate()
    expect(await outcome).toMatchObject({ code: 403 })
    expect(waited()).toBeLessThan(STALL_MS)
    expect(stage.server.totals?.waits).toBe(0)
    await other.subscribe('secret.w')
  })
})
