// Looking on, and the lists that the broker keeps.
import { once } from 'node:events'
import { connect, type Message } from 'selvedge'
import { Broker } from '../interop/peers/broker'
import { describeFabrics } from '../support/fabrics'
import { read, rejection } from '../support/messages'

describeFabrics('watch', fabric => {
  test('shows every message of a pattern, also those that a queue shares', async () => {
    const [watcher, member, publisher] = [fabric.client(), fabric.client(), fabric.client()]
    await member.subscribe('a.*', { queue: '0' })
    const seen: unknown[] = []
    const done = new Promise<void>(resolve => {
      watcher.watch(
        'a.*',
        (message: Message) => seen.push([message.subject, message.data]) === 3 && resolve(),
      )
    })
    await watcher.syncSubscriptions()
    for (const n of [1, 2, 3]) fabric.expectCount((await publisher.publish(`a.${n}`, n)).count, 2)
    await done
    expect(seen).toEqual([1, 2, 3].map(n => [`a.${n}`, n]))
  })

  fabric.testAtOneBroker('on `>` is a tap: no interest', async () => {
    const [watcher, publisher] = [fabric.client(), fabric.client()]
    const heard = new Promise<Message>(resolve => watcher.watch('>', resolve))
    await watcher.syncSubscriptions()
    expect((await publisher.publish('a.b', 1)).count).toBe(0)
    expect((await heard).data).toBe(1)
    expect(await rejection(publisher.request('a.b'))).toMatchObject({ code: 503 })
  })

  test('prints unless told otherwise, also what cannot be decoded, and ends when it is closed', async () => {
    const client = fabric.client()
    const lines: unknown[][] = []
    const log = jest.spyOn(console, 'log').mockImplementation((...line) => void lines.push(line))
    const watch = client.watch('a')
    const after = await client.subscribe('a')
    await client.publish('a', { n: 1 })
    await client.publish('a', null, { raw: Buffer.from([0xc1]) })
    await client.publish('a', '\u001b[31mred\n')
    await read(after, 3)
    watch.close()
    await client.publish('a', 'unseen')
    await read(after, 1)
    log.mockRestore()
    expect(lines.map(([, ...rest]) => rest)).toEqual([
      ['a', { n: 1 }],
      ['a', '(1 bytes that cannot be decoded)'],
      // Nothing of strangers drives the terminal.
      ['a', '\\u001b[31mred\n'],
    ])
  })
})

describeFabrics('the lists of the broker', fabric => {
  test('cluster gives addresses, waiting for the connection', async () => {
    const addresses = await fabric.client().cluster()
    expect(Array.isArray(addresses)).toBe(true)
    for (const address of addresses) expect(typeof address).toBe('string')
  })

  test('syncSubscriptions changes nothing when all is well, and outlasts a lost connection', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a.*')
    const syncing = client.syncSubscriptions()
    client.conn.io.engine.close()
    await syncing
    expect((await client.publish('a.b', 1)).count).toBe(1)
    expect((await read(subscription, 1))[0]!.data).toBe(1)
  })

  test('fail on a closed client', async () => {
    const client = fabric.client()
    await client.close()
    expect(await rejection(client.syncSubscriptions())).toMatchObject({ code: 'ERR_CLOSED' })
    expect(await rejection(client.cluster())).toMatchObject({ code: 'ERR_CLOSED' })
    expect(await rejection(fabric.client().cluster({ timeout: 0 }))).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    })
  })
})

describe('a broker of the original’s kind', () => {
  test('that has lost subscriptions, and has some too many, is put right by syncSubscriptions', async () => {
    const broker = await Broker.listen()
    const client = connect({ address: `http://127.0.0.1:${broker.port}`, noCache: true, wire: 'conat' })
    const subscription = await client.subscribe('a.*')
    await client.waitUntilReady()
    const before = broker.subscriptions()[0]!
    expect(before).toContain('a.*')
    broker.spoil({
      forget: ['a.*', before.find(pattern => pattern.startsWith('_INBOX'))!],
      add: ['left.over'],
    })
    expect((await client.publish('a.b', 'unheard')).count).toBe(0)
    await client.syncSubscriptions()
    expect(broker.subscriptions()[0]!.sort()).toEqual([...before].sort())
    expect((await client.publish('a.b', 'heard')).count).toBe(1)
    expect((await subscription.next()).value?.data).toBe('heard')
    expect(await client.cluster()).toEqual([`127.0.0.1:${broker.port}`])
    const closed = once(client, 'closed')
    await client.close()
    await closed
    await broker.close()
  })
})
