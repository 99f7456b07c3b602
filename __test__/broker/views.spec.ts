// What a broker shows of itself, and how many it lets in.
import { byCookie, describeStages, loose } from '../support/authority'
import { until } from '../support/events'
import { rejection } from '../support/messages'

describeStages('a broker', stage => {
  test('places are limited, in all and for each user, and come back', async () => {
    await stage.start({
      getUser: visitor => byCookie(loose(visitor)),
      maxConnections: 3,
      maxConnectionsPerUser: 2,
    })
    const [first] = [stage.as('ann'), stage.as('ann')]
    await Promise.all(stage.clients.map(client => client.waitUntilReady()))
    const third = await rejection(stage.as('ann', { reconnection: false }).waitUntilSignedIn())
    expect(third.message).toContain('limit of at most 2 connections for each user')
    await stage.as('bob').waitUntilReady()
    const fourth = await rejection(stage.as('carl', { reconnection: false }).waitUntilSignedIn())
    expect(fourth.message).toContain('limit of at most 3 connections')
    await first!.close()
    await until(() => stage.server.totals!.connections === 2)
    await stage.as('ann').waitUntilReady()
  })

  test('the views show what is there, and nothing when it is gone', async () => {
    await stage.start({})
    const client = stage.join()
    const subscription = await client.subscribe('a.*')
    await client.publish('a.b', 'hi')
    const [socket] = Object.values(stage.server.sockets)
    expect(socket).toMatchObject({ user: null, stats: { recv: { messages: 1 }, send: { messages: 1 } } })
    expect(socket!.subscriptions).toContain('a.*')
    expect(Object.values(stage.server.stats)[0]).toMatchObject({ subs: 2, recv: { messages: 1 } })
    expect(stage.server.interest.matches('a.b')).toEqual(['a.*'])
    expect([stage.server.interest.hasMatch('a.b'), stage.server.interest.hasMatch('b')]).toEqual([
      true,
      false,
    ])
    expect(stage.server.interest.serialize().patterns['a.*']).toBe(1)
    expect(await stage.server.isHealthy()).toBe(true)
    expect(await stage.server.waitForInterest('a.b')).toBe(true)
    expect(await stage.server.waitForInterest('b', 20)).toBe(false)
    const waiting = stage.server.waitForInterest('later')
    const later = await client.subscribe('later')
    expect(await waiting).toBe(true)
    later.close()
    subscription.close()
    await client.close()
    await until(() => Object.keys(stage.server.sockets).length === 0)
    expect(stage.server.interest.serialize()).toEqual({ patterns: {} })
    await stage.server.close()
    expect([await stage.server.isHealthy(), stage.server.sockets, stage.server.getUsage()]).toEqual([
      false,
      {},
      { total: 0, perUser: {} },
    ])
  })
})
