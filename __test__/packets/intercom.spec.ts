// Calls among nodes, over every way to plug in.
import { type EventEmitter, getEventListeners, once } from 'node:events'
import {
  type CreateIntercomOptions,
  createIntercom,
  type Intercom,
  Packet,
  PacketRegistry,
  PacketServer,
  PacketSocket,
  ValidationError,
} from 'selvedge/packets'
import { Answers } from '../../lib/packets/intercom/answers'
import { Nodes } from '../../lib/packets/intercom/nodes'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { outcome } from './codecs'

/** A promise, and what settles it. */
function gate<T = void>() {
  let open!: (value: T) => void
  const opened = new Promise<T>(resolve => (open = resolve))
  return { open, opened }
}

describeFabrics('an intercom', fabric => {
  const start = (node: string, options: CreateIntercomOptions = {}) =>
    createIntercom(fabric.client(), { node, ...options })
  const three = (options?: CreateIntercomOptions) =>
    Promise.all(['c', 'a', 'b'].map(node => start(node, options)))

  test('all nodes answer, the own one among them, in the order of their names, and the same each time', async () => {
    const nodes = await three()
    for (const each of nodes) each.handle('who', (data, { node }) => `${each.node} to ${node}: ${data}`)
    const [c] = nodes
    for (let i = 0; i < 5; i++) {
      expect(await c!('who', 'x')).toEqual(['a to c: x', 'b to c: x', 'c to c: x'])
    }
    expect(c!.node).toBe('c')
  })

  test('values are what they were, from the own node and from others: undefined, null, dates, bytes', async () => {
    const nodes = await three()
    const date = new Date('2026-11-28T12:00:00Z')
    const value = { date, bytes: Buffer.from([1, 2]), nothing: null, list: [1.5, 'ü'] }
    for (const each of nodes)
      each.handle('value', data => (each.node === 'b' ? undefined : each.node === 'a' ? null : data))
    expect(await nodes[0]!('value', value)).toEqual([null, undefined, value])
  })

  test('a start that is aborted leaves nothing behind, and one that was aborted before begins nothing', async () => {
    const first = await start('a')
    first.handle('who', (_, { node }) => node)
    const client = fabric.client()
    const signal = AbortSignal.abort('why')
    expect(await rejection(createIntercom(client, { node: 'b', signal }))).toMatchObject({
      code: 'ERR_PACKET_ABORTED',
      cause: 'why',
    })
    expect(client.numSubscriptions()).toBe(0)
    const controller = new AbortController()
    const started = rejection(createIntercom(client, { node: 'b', signal: controller.signal }))
    await new Promise(setImmediate)
    controller.abort('why')
    expect(await started).toMatchObject({ code: 'ERR_PACKET_ABORTED', cause: 'why' })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    while (client.numSubscriptions() > 0) await new Promise(setImmediate)
    const again = await createIntercom(client, { node: 'b', signal: new AbortController().signal })
    expect(await again('who')).toEqual(['b', undefined])
  })

  test('one node alone has its own answer', async () => {
    const alone = await start('alone')
    alone.handle('who', () => 'me')
    expect(await alone('who')).toEqual(['me'])
    expect(await alone.first('who')).toBe('me')
  })

  test('a node without a handler of the type has undefined; when no node has one the call says so at once', async () => {
    const [c, a] = await three()
    a!.handle('only-a', () => 1)
    expect(await c!('only-a')).toEqual([1, undefined, undefined])
    expect(await c!.first('only-a')).toBe(1)
    expect(await rejection(c!('nobody'))).toMatchObject({ code: 'ERR_INTERCOM_TYPE' })
    expect(await rejection(c!.first('nobody'))).toMatchObject({ code: 'ERR_INTERCOM_TYPE' })
  })

  test('a handler that throws fails the call when all have answered, and nothing that was said is lost', async () => {
    const nodes = await three()
    for (const each of nodes) {
      each.handle('work', () => {
        if (each.node === 'b') throw Error('out of paper')
        if (each.node === 'c') throw new ValidationError({ code: 409, reason: 'busy' })
        return 'done'
      })
    }
    const error = (await rejection(nodes[1]!('work'))) as any
    expect(error).toMatchObject({ code: 'ERR_INTERCOM_FAILED', message: 'work on b: out of paper' })
    expect(error.responses).toEqual([{ node: 'a', value: 'done' }])
    expect(error.failures.map(({ node, error }: any) => [node, error.code, error.reason])).toEqual([
      ['b', 500, 'out of paper'],
      ['c', 409, 'busy'],
    ])
    expect(await nodes[1]!('work', undefined, { partial: true })).toEqual(['done', undefined, undefined])
  })

  test('a silent node fails the call in time, with what the others said; partial resolves then', async () => {
    const nodes = await three({ timeout: 100 })
    for (const each of nodes)
      each.handle('slow', () => (each.node === 'b' ? new Promise(() => undefined) : each.node))
    const error = (await rejection(nodes[0]!('slow'))) as any
    expect(error).toMatchObject({ code: 'ERR_INTERCOM_TIMEOUT', message: 'slow: no answer of b' })
    expect(error.responses).toEqual([
      { node: 'a', value: 'a' },
      { node: 'c', value: 'c' },
    ])
    expect(error.failures).toMatchObject([{ node: 'b', error: { code: 'ERR_INTERCOM_TIMEOUT' } }])
    expect(await nodes[0]!('slow', undefined, { partial: true })).toEqual(['a', undefined, 'c'])
  })

  test('first resolves before the slow ones, and failFast rejects before them', async () => {
    const nodes = await three()
    const { open, opened } = gate()
    for (const each of nodes) {
      each.handle('find', data => (each.node === data ? 'found' : each.node === 'c' ? opened : undefined))
      each.handle('fail', () => {
        if (each.node === 'a') throw Error('no')
        return opened
      })
    }
    expect(await nodes[0]!.first('find', 'b')).toBe('found')
    const error = (await rejection(nodes[0]!('fail', undefined, { failFast: true }))) as any
    expect(error).toMatchObject({ code: 'ERR_INTERCOM_FAILED', failures: [{ node: 'a' }] })
    expect(await rejection(nodes[0]!.first('fail', undefined, { failFast: true }))).toMatchObject({
      code: 'ERR_INTERCOM_FAILED',
    })
    open()
    expect(await nodes[0]!.first('find', 'nobody')).toBeUndefined()
  })

  test('each iterates over the answers as they come, and over the silent ones at the end', async () => {
    const nodes = await three({ timeout: 150 })
    const { open, opened } = gate<string>()
    for (const each of nodes) {
      each.handle('come', () => {
        if (each.node === 'a') return opened
        if (each.node === 'b') throw Error('no')
        return new Promise(() => undefined)
      })
    }
    const told: unknown[] = []
    for await (const { node, value, error, ms } of nodes[0]!.each('come')) {
      expect(ms).toBeGreaterThanOrEqual(0)
      told.push([node, value, error?.code])
      open('late')
    }
    expect(told).toEqual([
      ['b', undefined, 500],
      ['a', 'late', undefined],
      ['c', undefined, 'ERR_INTERCOM_TIMEOUT'],
    ])
    for await (const _ of nodes[0]!.each('come')) break
  })

  test('a signal ends the waiting, and close ends all calls', async () => {
    const nodes = await three()
    for (const each of nodes) each.handle('never', () => new Promise(() => undefined))
    const controller = new AbortController()
    const aborted = rejection(nodes[0]!('never', undefined, { signal: controller.signal }))
    const closed = rejection(nodes[0]!('never'))
    controller.abort('enough')
    expect(await aborted).toMatchObject({ code: 'ERR_PACKET_ABORTED', cause: 'enough' })
    await nodes[0]!.close()
    expect(await closed).toMatchObject({ code: 'ERR_INTERCOM_CLOSED' })
    expect(await rejection(nodes[0]!('never'))).toMatchObject({ code: 'ERR_INTERCOM_CLOSED' })
    await nodes[0]!.close()
  })

  test('a node that leaves has no slot from then on, and one that comes has', async () => {
    const [c, a] = await three()
    c!.handle('who', () => 'c')
    a!.handle('who', () => 'a')
    expect(await a!('who')).toEqual(['a', undefined, 'c'])
    await c!.close()
    expect(await a!('who')).toEqual(['a', undefined])
    const d = await start('d')
    d.handle('who', () => 'd')
    expect(await a!('who')).toEqual(['a', undefined, 'd'])
    expect(await d('who')).toEqual(['a', undefined, 'd'])
  })

  test('a node that goes in the middle of a call is no slot of it, and the call does not wait for its time', async () => {
    const clients = [fabric.client(), fabric.client()]
    const [a, b] = await Promise.all(
      clients.map((client, i) => createIntercom(client, { node: 'ab'[i]!, timeout: 60_000 })),
    )
    a!.handle('work', () => 'done')
    b!.handle('work', () => new Promise(() => undefined))
    const call = a!('work')
    await new Promise(setImmediate)
    // Without a word, as one that is killed.
    await clients[1]!.close()
    expect(await call).toEqual(['done'])
  })

  test('who watches the subjects is no node: calls wait for it once, and a quarter of a second', async () => {
    const nodes = await three({ timeout: 60_000 })
    for (const each of nodes) each.handle('who', () => each.node)
    const watcher = fabric.client()
    await watcher.subscribe('packets.>')
    for (let i = 0; i < 20; i++) expect(await nodes[0]!('who')).toEqual(['a', 'b', 'c'])
  })

  test('a type has one handler; parts have all of theirs or none', async () => {
    const node = await start('a')
    const stop = node.handle('@sim.two', () => 2)
    expect(outcome(() => node.handle('@sim.two', () => 3)).code).toBe('ERR_INTERCOM_TYPE')
    expect(outcome(() => node.provide('@sim', { one: () => 1, two: () => 2 })).code).toBe('ERR_INTERCOM_TYPE')
    expect(await rejection(node('@sim.one'))).toMatchObject({ code: 'ERR_INTERCOM_TYPE' })
    stop()
    const remove = node.provide('@sim', { one: () => 1, two: () => 2 })
    expect(await node('@sim.one')).toEqual([1])
    remove()
    expect(await rejection(node('@sim.two'))).toMatchObject({ code: 'ERR_INTERCOM_TYPE' })
    expect(outcome(() => node.handle('x', 7 as never)).code).toBe('ERR_INVALID_ARG_TYPE')
  })

  test('a node at its limit says that it is busy, and one that calls too much is told', async () => {
    const [a, b] = [await start('a', { maxCalls: 2 }), await start('b')]
    const { open, opened } = gate()
    a.handle('work', () => opened)
    b.handle('work', () => 'done')
    const calls = [b('work'), b('work')]
    await new Promise(setImmediate)
    const error = (await rejection(b('work'))) as any
    expect(error.failures).toMatchObject([{ node: 'a', error: { code: 429 } }])
    open()
    expect(await Promise.all(calls)).toEqual([
      [undefined, 'done'],
      [undefined, 'done'],
    ])
    b.handle('never', () => new Promise(() => undefined))
    const waiting = [a('never'), a('never')].map(rejection)
    expect(await rejection(a('never'))).toMatchObject({ code: 'ERR_PACKET_BUSY' })
    await a.close()
    await Promise.all(waiting)
  })

  test('an answer that cannot be encoded is a failure', async () => {
    const [a, b] = [await start('a'), await start('b')]
    a.handle('odd', () => 7n)
    b.handle('odd', () => 'fine')
    const error = (await rejection(b('odd'))) as any
    expect([error.code, error.responses]).toEqual(['ERR_INTERCOM_FAILED', [{ node: 'b', value: 'fine' }]])
  })

  test('messages that are none are passed over, and answers go to nodes only', async () => {
    const node = await start('a')
    node.handle('who', () => 'a')
    const stranger = fabric.client()
    const overheard = await stranger.subscribe('elsewhere')
    for (const message of [
      null,
      'x',
      7,
      [],
      [1],
      [1, 'elsewhere', 'who'],
      [1, 'packets.intercom.to.', 'who'],
      [1, 'packets.intercom.to.>', 'who'],
      ['x', 'packets.intercom.to.b', 'who'],
      [1, 'packets.intercom.to.b', 7],
    ]) {
      for (const subject of [
        'packets.intercom',
        'packets.intercom.here',
        'packets.intercom.to.a',
        'packets.broadcast',
      ]) {
        await stranger.publish(subject, message)
      }
    }
    await stranger.publish('packets.intercom', null, { raw: Buffer.from([0xc1]) } as never)
    await stranger.publish('packets.intercom.here', ['ghost', 1])
    expect(await node('who')).toEqual(['a'])
    await stranger.publish('elsewhere', 'end')
    expect((await overheard.next()).value!.data).toBe('end')
  })

  test('clusters do not hear each other', async () => {
    const [red, blue] = [await start('a', { cluster: 'red.x' }), await start('a', { cluster: 'blue' })]
    red.handle('who', () => 'red')
    blue.handle('who', () => 'blue')
    expect([await red('who'), await blue('who')]).toEqual([['red'], ['blue']])
  })

  test.each([
    [{ nodes: 1 }, 'ERR_UNKNOWN_OPTION'],
    [{ node: 'a.b' }, 'ERR_INVALID_ARG_VALUE'],
    [{ node: '' }, 'ERR_INVALID_ARG_VALUE'],
    [{ timeout: 0 }, 'ERR_INVALID_ARG_VALUE'],
    [{ maxCalls: 1.5 }, 'ERR_INVALID_ARG_VALUE'],
  ])('the options %j are refused', async (options, code) => {
    expect(await rejection(createIntercom(fabric.client(), options as never))).toMatchObject({ code })
  })

  test('a client that is closed has no intercom, and wrong options of calls reject', async () => {
    const node = await start('a')
    expect(await rejection(node('x', 1, { tiemout: 1 } as never))).toMatchObject({
      code: 'ERR_UNKNOWN_OPTION',
    })
    const client = fabric.client()
    await client.close()
    expect(await rejection(createIntercom(client))).toMatchObject({ code: 'ERR_CLOSED' })
  })

  describe('servers of packets', () => {
    const Slap = Packet({ 'why?': 'string' })
    const Where = Packet({ id: 'uint32' }, { result: { x: 'float32' } })
    const packets = new PacketRegistry({ Slap, Where })

    async function node(name: string, registry: PacketRegistry<any> = packets) {
      const intercom: Intercom = await start(name)
      const source = fabric.client().socket.listen(`game-${name}`)
      const server = new PacketServer(source, registry, { intercom, channel: 'game' })
      const connection = once(server as unknown as EventEmitter, 'connection')
      const socket = new PacketSocket(fabric.client().socket.connect(`game-${name}`), registry)
      const [own] = (await connection) as [PacketSocket]
      await socket.send(['Slap'])
      const seen: unknown[] = []
      socket.handle(registry.get('Slap')!, ({ data }) => void seen.push(data.why))
      return { intercom, server, socket, own, seen }
    }

    test('ask all nodes from their handlers, which get the server of their node', async () => {
      const nodes = [await node('a'), await node('b')]
      for (const { intercom, server } of nodes) {
        intercom.provide('@sim', {
          position: (id: number, context: any) =>
            context.server === server && id === 7 && intercom.node === 'b' ? { x: 1.5 } : undefined,
        })
        server.handle(Where, async ({ data }, { req }) => req.intercom.first('@sim.position', data.id))
      }
      expect(await nodes[0]!.socket.send(['Where', { id: 7 }])).toEqual({ x: 1.5 })
    })

    test('send to the sockets of all nodes, and to those in a room of all nodes', async () => {
      const nodes = [await node('a'), await node('b')]
      const others: PacketRegistry<any> = new PacketRegistry({ Where, Slap: Packet({ 'why?': 'uint8' }) })
      const stranger = await node('c', others)
      nodes[1]!.own.join('red')
      nodes[0]!.server.send(['Slap', { why: 'all' }])
      nodes[0]!.server.to('red').send(['Slap', { why: 'red' }])
      nodes[0]!.server.send(['Slap', { why: 'here' }], { local: true })
      nodes[1]!.server.send(['Slap', { why: 'from b' }])
      while (nodes[1]!.seen.length < 3 || nodes[0]!.seen.length < 3) await new Promise(setImmediate)
      expect(nodes[0]!.seen.sort()).toEqual(['all', 'from b', 'here'])
      expect(nodes[1]!.seen.sort()).toEqual(['all', 'from b', 'red'])
      expect(stranger.seen).toEqual([])
      expect(stranger.server.rejected).toBe(3)
      const publisher = fabric.client()
      await publisher.publish('packets.broadcast', [
        'x',
        'game',
        null,
        packets.pack(['Slap', { why: 'x' }]).subarray(0, 9),
      ])
      await nodes[0]!.socket.send(['Slap'])
      expect(nodes[0]!.server.rejected).toBe(1)
    })
  })
})

describe('the answers to a call', () => {
  const answer = (node: string) => ({ node, value: 1, isTypeless: false })

  test('is complete when all that were there have answered, and as many as got the call', () => {
    const answers = new Answers(['a', 'b'])
    answers.handleAnswer(answer('b'))
    answers.handleAnswer(answer('a'))
    expect(answers.isComplete).toBe(false)
    answers.handleCount(3, 0)
    expect(answers.isComplete).toBe(false)
    // One that came a moment ago.
    expect(answers.handleAnswer(answer('c'))).toBe(true)
    expect(answers.handleAnswer(answer('c'))).toBe(false)
    expect(answers.isComplete).toBe(true)
    expect(answers.all.map(({ node }) => node)).toEqual(['a', 'b', 'c'])
  })

  test('where the count only says "at least one", waits for all that were there', () => {
    const answers = new Answers(['a', 'b', 'c'])
    answers.handleCount(1, 0)
    answers.handleAnswer(answer('a'))
    answers.handleAnswer(answer('b'))
    expect([answers.isComplete, answers.silent]).toEqual([false, ['c']])
    answers.handleGone('c')
    expect(answers.isComplete).toBe(true)
  })

  test('does without those that are no nodes', () => {
    const answers = new Answers(['a'])
    answers.handleCount(3, 0)
    answers.handleAnswer(answer('a'))
    expect([answers.isComplete, answers.hasAllKnown]).toEqual([false, true])
    expect(answers.countStrangers()).toBe(2)
    expect(answers.isComplete).toBe(true)
    const next = new Answers(['a'])
    next.handleCount(3, 2)
    next.handleAnswer(answer('a'))
    expect(next.isComplete).toBe(true)
  })
})

test('the list of nodes forgets those that are silent for 30 s, and has a bound', () => {
  const nodes = new Nodes('me')
  expect(nodes.handleHere(0, 'a', 1)).toBe(true)
  expect(nodes.handleHere(5, 'a', 1)).toBe(false)
  expect(nodes.handleHere(6, 'a', 2)).toBe(true)
  nodes.handleHere(10_000, 'b', 1)
  nodes.handleWord(20_000, 'a')
  // Its announcement did not come through; when one does, it is to hear of this node.
  nodes.handleWord(20_000, 'c')
  nodes.handleWord(20_000, 'me')
  expect(nodes.present(40_000).sort()).toEqual(['a', 'b', 'c', 'me'])
  expect(nodes.handleHere(40_000, 'c', 1)).toBe(true)
  expect(nodes.present(40_001).sort()).toEqual(['a', 'c', 'me'])
  expect(nodes.present(60_000).sort()).toEqual(['c', 'me'])
  nodes.remove('c')
  for (let i = 0; i < 10_000; i++) nodes.handleHere(0, `n${i}`, 1)
  expect(nodes.present(0)).toHaveLength(4097)
})
