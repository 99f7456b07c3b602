// What whoever may publish to the subjects of a cluster can do to its nodes: answers, names and epochs without end.
import { createIntercom } from 'selvedge/packets'
import { AnswerBudget } from '../../lib/packets/intercom/answer-budget'
import { VALUE } from '../../lib/packets/intercom/answers'
import { Calls } from '../../lib/packets/intercom/calls'
import { Greetings } from '../../lib/packets/intercom/greetings'
import { Subjects } from '../../lib/packets/intercom/messages'
import { Nodes } from '../../lib/packets/intercom/nodes'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { numbers } from '../support/sockets'

const MIB = 1024 * 1024

describeFabrics('strangers at an intercom', fabric => {
  const start = (node: string) => createIntercom(fabric.client(), { node })

  /** A call of `a` that `b` answers when the stranger has: resolves with what was answered, and by whom. */
  async function answered(stranger: (call: number) => Promise<unknown>): Promise<string[]> {
    const [a, b] = [await start('a'), await start('b')]
    const watcher = fabric.client()
    const calls = await watcher.subscribe('packets.intercom')
    let go = (): void => undefined
    const gone = new Promise<void>(resolve => (go = resolve))
    a.handle('who', () => gone)
    b.handle('who', () => gone.then(() => 'b'))
    const names: string[] = []
    const read = (async () => {
      for await (const { node } of a.each('who', undefined, { timeout: 30_000 })) names.push(node)
    })()
    const [call] = (await calls.next()).value!.data
    await stranger(call)
    go()
    await read
    return names
  }

  test('a call is answered by nobody who only guesses its number', async () => {
    const guesser = fabric.client()
    const names = await answered(async () => {
      for (const call of numbers(0, 50)) {
        await guesser.publish('packets.intercom.to.a', [call, `guess-${call}`, VALUE, 'x'])
      }
    })
    expect(names.sort()).toEqual(['a', 'b'])
  })

  test('the answers of 5000 names are not all kept, and those of the nodes are', async () => {
    const crowd = fabric.client()
    const names = await answered(async call => {
      for (const n of numbers(1, 4999)) crowd.publishSync('packets.intercom.to.a', [call, `n${n}`, VALUE, n])
      await crowd.publish('packets.intercom.to.a', [call, 'n5000', VALUE, 5000])
    })
    expect(names).toEqual(expect.arrayContaining(['a', 'b', 'n1']))
    expect(names.length).toBeLessThanOrEqual(4098)
  })

  test('19 MiB of answers of strangers are not all kept, and those of the nodes are', async () => {
    const crowd = fabric.client()
    const names = await answered(async call => {
      for (const n of numbers(1, 300)) {
        await crowd.publish('packets.intercom.to.a', [call, `n${n}`, VALUE, Buffer.alloc(65_536)])
      }
    })
    expect(names).toEqual(expect.arrayContaining(['a', 'b', 'n1']))
    expect(names.length).toBeLessThanOrEqual(257)
  })

  test('a name that changes its epoch all the time makes few greetings', async () => {
    await start('a')
    const stranger = fabric.client()
    const heard = await stranger.subscribe('packets.intercom.here')
    const begun = performance.now()
    for (const n of numbers(1, 1000)) stranger.publishSync('packets.intercom.here', ['x', n])
    let [own, greetings] = [0, 0]
    while (own < 1000) {
      const { value } = await heard.next()
      if (value!.data[0] === 'x') own += 1
      else greetings += 1
    }
    // The node may still be behind: a node that starts now is greeted after all of them.
    await start('b')
    const left = heard.drain()
    for await (const { data } of heard) if (data[0] === 'a') greetings += 1
    await left
    const took = performance.now() - begun
    expect(greetings).toBeGreaterThan(0)
    expect(greetings).toBeLessThanOrEqual(20 + (2 * took) / 100)
  })

  test('a node whose client is closed while it encodes its answer ends without an unhandled rejection', async () => {
    const client = fabric.client()
    const [a, b] = [await start('a'), await createIntercom(client, { node: 'b' })]
    let closed: Promise<void> | undefined
    a.handle('leave', () => 'a')
    b.handle('leave', () => ({
      get value() {
        closed = client.close()
        throw Error('not now')
      },
    }))
    expect(await a('leave')).toEqual(['a'])
    await closed
  })

  test('an answer that is too large is a failure, and says so at once', async () => {
    const small = fabric.client({ maxMessageBytes: 65_536 })
    const [a, b] = [await start('a'), await createIntercom(small, { node: 'b' })]
    a.handle('large', () => undefined)
    b.handle('large', () => Buffer.alloc(65_536))
    const error = (await rejection(a('large', undefined, { timeout: 60_000 }))) as any
    expect(error.code).toBe('ERR_INTERCOM_FAILED')
    expect(error.failures).toMatchObject([{ node: 'b', error: { code: 500 } }])
  })
})

describe('the answers that a node keeps', () => {
  /** Calls of a node that knows of `b`, over a fabric that only takes messages. */
  function calls() {
    const numbers: number[] = []
    const client = {
      publish: async (_: string, [call]: [number]) => {
        numbers.push(call)
        return { count: 3 }
      },
    }
    const nodes = new Nodes('a')
    nodes.handleHere(performance.now(), 'b', 1)
    return { calls: new Calls(client as never, new Subjects('c'), nodes, 8), numbers }
  }

  test('an answer of a node that goes beyond is a failure of that node, and a stranger is passed over', async () => {
    const { calls: own, numbers } = calls()
    const asked = own.call('big', 1, { timeout: 10_000, signal: undefined }, () => false)
    const call = numbers[0]!
    own.handleAnswer({ call, node: 'x', status: VALUE, value: 'x' }, 17 * MIB)
    own.handleAnswer({ call, node: 'a', status: VALUE, value: 'a' }, 1)
    own.handleAnswer({ call, node: 'b', status: VALUE, value: 'b' }, 257 * MIB)
    const { answers } = await asked
    expect(answers.map(({ node, value, error }) => [node, value, error?.code])).toEqual([
      ['a', 'a', undefined],
      ['b', undefined, 413],
    ])
  })

  test('the numbers of calls do not follow from each other', () => {
    const { calls: own, numbers } = calls()
    for (let n = 0; n < 8; n++) void own.call('x', n, { timeout: 1, signal: undefined }, () => false)
    expect(numbers.every(Number.isSafeInteger)).toBe(true)
    expect(new Set(numbers.map((n, at) => n - (numbers[at - 1] ?? 0))).size).toBe(8)
    expect(Math.max(...numbers)).toBeGreaterThan(2 ** 40)
  })

  test('is bounded over all calls, by count and by bytes, and a call that ends gives back what it had', () => {
    const budget = new AnswerBudget()
    const [one, two] = [budget.open(), budget.open()]
    const taken = (size: number, isNew: boolean) => {
      let count = 0
      while (count < 10_000 && one.take(size, isNew)) count += 1
      return count
    }
    expect(taken(0, true)).toBe(4096)
    expect(two.take(0, true)).toBe(false)
    expect(two.take(0, false)).toBe(true)
    one.close()
    expect(taken(MIB, true)).toBe(15)
    expect(taken(MIB, false)).toBe(240)
    expect(two.take(MIB, false)).toBe(false)
    one.close()
    expect(two.take(250 * MIB, false)).toBe(true)
  })
})

test('greetings: some at once, then one in 0.1 s', () => {
  const greetings = new Greetings()
  const count = (times: number[]) => times.filter(at => greetings.handleNew(at)).length
  expect(count(numbers(1, 1000).map(() => 5000))).toBe(16)
  expect(count(numbers(1, 1000).map(n => 5000 + n))).toBe(10)
  expect(count(numbers(1, 20).map(() => 60_000))).toBe(16)
})
