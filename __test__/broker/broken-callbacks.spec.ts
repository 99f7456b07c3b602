// Callbacks of a broker that throw, hang, give nonsense or do too much, and clients that make much of them.
import { once } from 'node:events'
import type { Client } from 'selvedge'
import { byCookie, describeStages, loose } from '../support/authority'
import { until } from '../support/events'
import { rejection } from '../support/messages'
import { disconnection } from '../support/sockets'

describeStages('callbacks of a broker', stage => {
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
    await stage.start({
      signInTimeout: 1000,
      getUser: visitor => {
        const user = byCookie(loose(visitor))
        return user.name === 'bad' ? misbehave!() : user
      },
    })
    const good = stage.as('ann')
    const bad = stage.as('bad', { reconnection: false })
    expect((await rejection(bad.waitUntilSignedIn())).message).toMatch(text)
    const subscription = await good.subscribe('a')
    expect(await good.publish('a', 1)).toMatchObject({ count: 1 })
    subscription.close()
    await until(() => stage.server.totals!.connections === 1)
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
    await stage.start({
      permissionTimeout: 1000,
      isAllowed: ({ subject }) => (subject === 'odd' ? misbehave() : true),
    })
    const neighbour = stage.join()
    const heard: unknown[] = []
    const subscription = await neighbour.subscribe('steady')
    subscription.emitter.on('message', message => heard.push(message.data))
    const client = stage.join()
    const refused = rejection(client.publish('odd', 1))
    for (let n = 0; n < 50; n++) expect(await neighbour.publish('steady', n)).toMatchObject({ count: 1 })
    expect(await refused).toMatchObject({
      code: 403,
      message: `permission denied publishing to 'odd' from null`,
    })
    // Of one that hangs the engine may know before JavaScript does.
    await until(() => stage.failures.length > 0)
    expect(stage.failures).toEqual([[expect.any(Error), 'isAllowed']])
    await until(() => heard.length === 50)
    // What failed is asked again, what the client was told it remembers by itself.
    expect(await client.publish('even', 1)).toMatchObject({ count: 0 })
    subscription.close()
  })

  test('an isAllowed that fails and is not listened to is a warning of the process, once', async () => {
    await stage.start({
      getUser: byCookie,
      isAllowed: ({ subject }) => (subject.startsWith('_INBOX') ? true : loose('yes')),
    })
    stage.server.removeAllListeners('callbackFailed')
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const ann = stage.as('ann')
    for (const subject of ['one', 'two']) {
      expect(await rejection(ann.publish(subject, 1))).toMatchObject({ code: 403 })
    }
    expect(warned.mock.calls).toEqual([
      [expect.stringContaining('must give a boolean, got string'), { code: 'SELVEDGE_CALLBACK_FAILED' }],
    ])
    warned.mockRestore()
  })

  test('a callback may use the broker, disconnect whom it is asked about, and close everything', async () => {
    let inner: Client | undefined
    await stage.start({
      getUser: async visitor => {
        if (loose(visitor).handshake.headers.cookie === undefined) return null
        const within = (inner ??= stage.server.client())
        // The second time it is disconnected as well, maybe with this under way.
        await within.publish('inside', 1).catch(() => within.publish('inside', 1))
        return byCookie(loose(visitor))
      },
      isAllowed: ({ subject }) => {
        if (subject === 'leave') stage.server.disconnect(Object.keys(stage.server.sockets))
        if (subject === 'close') void stage.server.close()
        return true
      },
    })
    const client = stage.as('ann')
    await client.waitUntilReady()
    const left = disconnection(client)
    client.publishSync('leave', 1)
    await left
    await client.waitUntilReady()
    const closed = once(stage.server, 'closed')
    client.publishSync('close', 1)
    await Promise.race([closed, stage.server.close()])
    expect(stage.server.state).toBe('closed')
    await inner!.close()
  })

  test('a client that floods with undecided operations is not read, and its neighbour is served', async () => {
    const open: (() => void)[] = []
    await stage.start({
      isAllowed: ({ subject }) => {
        if (!subject.startsWith('flood.')) return true
        return new Promise(done => open.push(() => done(true)))
      },
    })
    const [flooder, neighbour] = [stage.join(), stage.join()]
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
    expect(stage.server.totals!.published.messages).toBe(3001)
  })
})
