// Who comes in, and what they may do: the callbacks of a broker, over every way to plug in.
import { once } from 'node:events'
import {
  type Client,
  type ConatServer,
  type ConnectOptions,
  connect,
  init,
  type ServerOptions,
} from 'selvedge'
import { rejection } from './support/messages'

type Kind = 'in-process' | 'conat wire' | 'selvedge wire'

const loose = (value: unknown) => value as any

/** Resolves when `isTrue` gives true; looks again each turn. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(setImmediate)
}

/** A promise that the test settles. */
function pending<T>() {
  let resolve!: (value: T) => void
  const promise = new Promise<T>(done => {
    resolve = done
  })
  return { promise, resolve }
}

describe.each<Kind>(['in-process', 'conat wire', 'selvedge wire'])('authority, %s', kind => {
  let server: ConatServer
  let clients: Client[] = []
  const failures: [unknown, string][] = []

  async function start(options: ServerOptions): Promise<ConatServer> {
    server = init({
      ...options,
      ...(kind === 'in-process' ? { port: null } : { port: 0, host: '127.0.0.1' }),
    })
    failures.length = 0
    server.on('callbackFailed', (error, callback) => failures.push([error, callback]))
    await server.waitUntilReady()
    return server
  }

  function join(options: ConnectOptions = {}): Client {
    const quick = { reconnectionDelay: 5, reconnectionDelayMax: 50, ...options }
    const client =
      kind === 'in-process'
        ? server.client(quick)
        : connect({
            address: `http://127.0.0.1:${server.address()!.port}`,
            noCache: true,
            wire: kind === 'conat wire' ? 'conat' : 'selvedge',
            ...quick,
          })
    clients.push(client)
    return client
  }

  /** Signs in by name. */
  const as = (name: string, options?: ConnectOptions) =>
    join({ extraHeaders: { Cookie: `name=${name}` }, ...options })
  const byCookie = (visitor: { handshake: { headers: Record<string, string | undefined> } }) => {
    const name = /name=(\w+)/.exec(visitor.handshake.headers.cookie ?? '')?.[1]
    if (name === undefined) throw Object.assign(Error('who are you?'), { code: 401 })
    return { name }
  }

  afterEach(async () => {
    await Promise.all(clients.map(client => client.close()))
    clients = []
    await server.close()
  })

  test('getUser is asked once for each connection, with its headers, and says who it is', async () => {
    const visitors: any[] = []
    await start({
      getUser: async visitor => {
        visitors.push(visitor)
        return byCookie(loose(visitor))
      },
    })
    const client = as('ann')
    await client.waitUntilReady()
    expect(client.info!.user).toEqual({ name: 'ann' })
    expect(visitors).toHaveLength(1)
    expect(visitors[0].handshake.headers.cookie).toBe('name=ann')
    expect(visitors[0].handshake.address).toBe(kind === 'in-process' ? '' : '127.0.0.1')
    expect(Object.keys(server.sockets)).toEqual([visitors[0].id])
    expect(server.sockets[visitors[0].id]!.user).toEqual({ name: 'ann' })
    expect(server.getUsage()).toEqual({ total: 1, perUser: { '{"name":"ann"}': 1 } })
    client.conn.io.engine.close()
    await once(client, 'inbox')
    expect(visitors).toHaveLength(2)
    expect(visitors[1].id).not.toBe(visitors[0].id)
  })

  test('a refused sign-in is told why and leaves nothing behind', async () => {
    await start({ getUser: async visitor => byCookie(loose(visitor)) })
    const stranger = join({ reconnection: false })
    const refusal = await rejection(stranger.waitUntilSignedIn())
    expect(refusal).toMatchObject({ code: 'ERR_SIGN_IN' })
    expect(refusal.message).toBe('failed to sign in - who are you?')
    expect(failures).toEqual([[expect.objectContaining({ message: 'who are you?' }), 'getUser']])
    await until(() => Object.keys(server.sockets).length === 0)
    expect(server.totals).toMatchObject({ connections: 0, subscriptions: 0, connectionsRefused: 1 })
    await as('ann').waitUntilSignedIn()
  })

  test.each<[string, (() => unknown) | undefined, RegExp]>([
    [
      'throws',
      () => {
        throw loose(null)
      },
      /null/,
    ],
    [
      'rejects with an object whose text throws',
      () =>
        Promise.reject({
          toString() {
            throw Error('no text')
          },
        }),
      /sign-in refused/,
    ],
    ['hangs', () => new Promise(() => {}), /timeout/],
    ['gives a value that is no JSON', () => ({ id: 1n }), /BigInt/],
    [
      'gives a thenable that throws',
      () =>
        Object.defineProperty({}, 'then', {
          get() {
            throw Error('a getter threw')
          },
        }),
      /a getter threw/,
    ],
  ])('a getUser that %s refuses that connection and no other', async (_name, misbehave, text) => {
    await start({
      signInTimeout: 50,
      getUser: visitor => {
        const user = byCookie(loose(visitor))
        return user.name === 'bad' ? misbehave!() : user
      },
    })
    const good = as('ann')
    const bad = as('bad', { reconnection: false })
    expect((await rejection(bad.waitUntilSignedIn())).message).toMatch(text)
    const subscription = await good.subscribe('a')
    expect(await good.publish('a', 1)).toMatchObject({ count: 1 })
    subscription.close()
    await until(() => server.totals!.connections === 1)
  })

  test('what is said before getUser has answered keeps its order', async () => {
    const user = pending<null>()
    await start({ getUser: () => user.promise })
    const reader = join()
    const heard: unknown[] = []
    const subscription = reader.subscribeSync('n')
    subscription.emitter.on('message', message => heard.push(message.data))
    const published = Promise.all([1, 2, 3].map(n => reader.publish('n', n)))
    expect(server.totals!.subscriptions).toBe(0)
    user.resolve(null)
    await published
    await until(() => heard.length === 3)
    expect(heard).toEqual([1, 2, 3])
    subscription.close()
  })

  test('what is not allowed is refused with 403 and told as an event, at once the second time', async () => {
    const asked: string[] = []
    await start({
      getUser: visitor => byCookie(loose(visitor)),
      isAllowed: async ({ type, user, subject }) => {
        if (!subject.startsWith('_INBOX')) asked.push(`${type} ${subject} ${user.name}`)
        return !subject.startsWith('secret')
      },
    })
    const client = as('ann')
    const events: unknown[] = []
    client.on('permission', event => events.push(event))
    const publish = await rejection(client.publish('secret.x', 1))
    expect(publish).toMatchObject({
      code: 403,
      message: `permission denied publishing to 'secret.x' from {"name":"ann"}`,
    })
    const subscribe = await rejection(client.subscribe('secret.*'))
    expect(subscribe).toMatchObject({
      code: 403,
      message: `permission denied subscribing to 'secret.*' from {"name":"ann"}`,
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
    expect(server.totals!.publishesRefused).toBeGreaterThanOrEqual(3)
  })

  test('a stream on one subject is asked about once a second, without a cache every time', async () => {
    let asked = 0
    const isAllowed = ({ subject }: { subject: string }) => {
      if (subject === 'n') asked += 1
      return true
    }
    await start({ isAllowed, permissionCache: 60_000 })
    const client = join()
    for (let n = 0; n < 100; n++) await client.publish('n', n)
    expect(asked).toBe(1)
    await Promise.all([client.close(), server.close()])
    asked = 0
    await start({ isAllowed, permissionCache: 0 })
    const other = join()
    for (let n = 0; n < 100; n++) await other.publish('n', n)
    expect(asked).toBe(100)
  })

  test('order is kept while decisions come in any order', async () => {
    const open: [string, (allowed: boolean) => void][] = []
    await start({
      isAllowed: ({ subject }) => {
        if (!subject.startsWith('n.')) return true
        const decision = pending<boolean>()
        open.push([subject, decision.resolve])
        return decision.promise
      },
    })
    const writer = join()
    const reader = join()
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
    await start({
      permissionCache: 60_000,
      getUser: visitor => byCookie(loose(visitor)),
      isAllowed: ({ user, type, subject }) =>
        !(isRevoked && user.name === 'ann' && type === 'sub' && subject === 'news'),
    })
    const ann = as('ann')
    const bob = as('bob')
    const [hers, his] = [await ann.subscribe('news'), await bob.subscribe('news')]
    const heard: unknown[] = []
    hers.emitter.on('message', message => heard.push(message.data))
    his.emitter.on('message', message => heard.push(`bob ${message.data}`))
    expect(await bob.publish('news', 1)).toMatchObject({ count: 2 })
    isRevoked = true
    const told = once(ann, 'permission')
    expect(server.revalidate()).toBe(2)
    expect((await told)[0]).toMatchObject({ type: 'sub', subject: 'news' })
    expect(await bob.publish('news', 2)).toMatchObject({ count: 1 })
    isRevoked = false
    // What it was told a moment ago is not asked about again, until then.
    server.revalidate()
    await until(() => server.interest.serialize().patterns.news === 2)
    expect(await bob.publish('news', 3)).toMatchObject({ count: 2 })
    await until(() => heard.length === 5)
    expect(heard.sort()).toEqual([1, 3, 'bob 1', 'bob 2', 'bob 3'].sort())
    hers.close()
    his.close()
  })

  test.each<[string, () => any]>([
    [
      'throws',
      () => {
        throw Error('broken')
      },
    ],
    ['rejects', () => Promise.reject(Error('broken'))],
    ['hangs', () => new Promise(() => {})],
    ['gives no boolean', () => 'yes'],
    ['gives a promise of no boolean', async () => 1],
  ])('an isAllowed that %s denies, and a neighbour goes on', async (_name, misbehave) => {
    await start({
      permissionTimeout: 100,
      isAllowed: ({ subject }) => (subject === 'odd' ? misbehave() : true),
    })
    const neighbour = join()
    const heard: unknown[] = []
    const subscription = await neighbour.subscribe('steady')
    subscription.emitter.on('message', message => heard.push(message.data))
    const client = join()
    const refused = rejection(client.publish('odd', 1))
    for (let n = 0; n < 50; n++) expect(await neighbour.publish('steady', n)).toMatchObject({ count: 1 })
    expect(await refused).toMatchObject({
      code: 403,
      message: `permission denied publishing to 'odd' from null`,
    })
    // Of one that hangs the engine may know before JavaScript does.
    await until(() => failures.length > 0)
    expect(failures).toEqual([[expect.any(Error), 'isAllowed']])
    await until(() => heard.length === 50)
    // What failed is asked again, what the client was told it remembers by itself.
    expect(await client.publish('even', 1)).toMatchObject({ count: 0 })
    subscription.close()
  })

  test('an isAllowed that fails and is not listened to is a warning of the process, once', async () => {
    await start({
      getUser: byCookie,
      isAllowed: ({ subject }) => (subject.startsWith('_INBOX') ? true : loose('yes')),
    })
    server.removeAllListeners('callbackFailed')
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const ann = as('ann')
    for (const subject of ['one', 'two']) {
      expect(await rejection(ann.publish(subject, 1))).toMatchObject({ code: 403 })
    }
    expect(warned.mock.calls).toEqual([
      [expect.stringContaining('must give a boolean, got string'), { code: 'SELVEDGE_CALLBACK_FAILED' }],
    ])
    warned.mockRestore()
  })

  test('who is denied his inbox is told so at once, and gets on when he has it', async () => {
    let mayHear = false
    await start({
      getUser: byCookie,
      isAllowed: ({ type, subject }) => mayHear || type === 'pub' || !subject.startsWith('_INBOX'),
    })
    const ann = as('ann')
    const refusal = {
      code: 403,
      message: expect.stringContaining("permission denied subscribing to '_INBOX."),
    }
    expect(await rejection(ann.request('anybody'))).toMatchObject(refusal)
    expect(await rejection(ann.publish('anybody', 1))).toMatchObject(refusal)
    mayHear = true
    await ann.waitUntilReady({ timeout: 20_000 })
    expect(await ann.publish('anybody', 1)).toMatchObject({ count: 0 })
  })

  test('a wait for interest that is not allowed any more ends at once, and hears of nobody', async () => {
    let isAllowed = true
    await start({ isAllowed: ({ type, subject }) => isAllowed || type === 'sub' || subject !== 'secret.w' })
    const [asker, other] = [join(), join()]
    await Promise.all([asker.waitUntilReady(), other.waitUntilReady()])
    const outcome = rejection(asker.waitForInterest('secret.w', { timeout: 60_000 }))
    await until(() => server.totals?.waits === 1)
    isAllowed = false
    const before = Date.now()
    server.revalidate()
    expect(await outcome).toMatchObject({ code: 403 })
    expect(Date.now() - before).toBeLessThan(1000)
    expect(server.totals?.waits).toBe(0)
    await other.subscribe('secret.w')
  })

  test('a callback may use the broker, disconnect whom it is asked about, and close everything', async () => {
    let inner: Client | undefined
    await start({
      getUser: async visitor => {
        if (loose(visitor).handshake.headers.cookie === undefined) return null
        inner ??= server.client()
        await inner.publish('inside', 1)
        return byCookie(loose(visitor))
      },
      isAllowed: ({ subject }) => {
        if (subject === 'leave') server.disconnect(Object.keys(server.sockets))
        if (subject === 'close') void server.close()
        return true
      },
    })
    const client = as('ann')
    await client.waitUntilReady()
    const left = once(client, 'disconnected')
    client.publishSync('leave', 1)
    await left
    await client.waitUntilReady()
    const closed = once(server, 'closed')
    client.publishSync('close', 1)
    await Promise.race([closed, server.close()])
    expect(server.state).toBe('closed')
    await inner!.close()
  })

  test('a client that floods with undecided operations is not read, and its neighbour is served', async () => {
    const open: (() => void)[] = []
    await start({
      isAllowed: ({ subject }) => {
        if (!subject.startsWith('flood.')) return true
        return new Promise(done => open.push(() => done(true)))
      },
    })
    const [flooder, neighbour] = [join(), join()]
    await Promise.all([flooder.waitUntilReady(), neighbour.waitUntilReady()])
    const all = Array.from({ length: 3000 }, (_, n) => flooder.publish(`flood.${n}`, n))
    await until(() => open.length >= 200)
    expect(await neighbour.publish('calm', 1)).toMatchObject({ count: 0 })
    expect(open.length).toBeLessThanOrEqual(256)
    let isOver = false
    const over = Promise.all(all).then(() => {
      isOver = true
    })
    await until(() => {
      for (const decide of open.splice(0)) decide()
      return isOver
    })
    await over
    expect(server.totals!.published.messages).toBe(3001)
  })

  test('places are limited, in all and for each user, and come back', async () => {
    await start({ getUser: visitor => byCookie(loose(visitor)), maxConnections: 3, maxConnectionsPerUser: 2 })
    const [first] = [as('ann'), as('ann')]
    await Promise.all(clients.map(client => client.waitUntilReady()))
    const third = await rejection(as('ann', { reconnection: false }).waitUntilSignedIn())
    expect(third.message).toContain('limit of at most 2 connections for each user')
    await as('bob').waitUntilReady()
    const fourth = await rejection(as('carl', { reconnection: false }).waitUntilSignedIn())
    expect(fourth.message).toContain('limit of at most 3 connections')
    await first!.close()
    await until(() => server.totals!.connections === 2)
    await as('ann').waitUntilReady()
  })

  test('the views show what is there, and nothing when it is gone', async () => {
    await start({})
    const client = join()
    const subscription = await client.subscribe('a.*')
    await client.publish('a.b', 'hi')
    const [socket] = Object.values(server.sockets)
    expect(socket).toMatchObject({ user: null, stats: { recv: { messages: 1 }, send: { messages: 1 } } })
    expect(socket!.subscriptions).toContain('a.*')
    expect(Object.values(server.stats)[0]).toMatchObject({ subs: 2, recv: { messages: 1 } })
    expect(server.interest.matches('a.b')).toEqual(['a.*'])
    expect([server.interest.hasMatch('a.b'), server.interest.hasMatch('b')]).toEqual([true, false])
    expect(server.interest.serialize().patterns['a.*']).toBe(1)
    expect(await server.isHealthy()).toBe(true)
    expect(await server.waitForInterest('a.b')).toBe(true)
    expect(await server.waitForInterest('b', 20)).toBe(false)
    const waiting = server.waitForInterest('later')
    const later = await client.subscribe('later')
    expect(await waiting).toBe(true)
    later.close()
    subscription.close()
    await client.close()
    await until(() => Object.keys(server.sockets).length === 0)
    expect(server.interest.serialize()).toEqual({ patterns: {} })
    await server.close()
    expect([await server.isHealthy(), server.sockets, server.getUsage()]).toEqual([
      false,
      {},
      { total: 0, perUser: {} },
    ])
  })
})
