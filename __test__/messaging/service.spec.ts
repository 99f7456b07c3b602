// Services: methods behind a subject, called over the fabric.
import { inspect } from 'node:util'
import { type Client, FabricError, hasCode, type Message, withOptions } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'

interface Math {
  add(a: number, b: number): number
  fail(text: string): never
  nothing(): void
}

const math = {
  add: (a: number, b: number) => a + b,
  async fail(text: string) {
    throw new Error(text)
  },
  nothing() {},
}

/** Waits until an end is known where a client is: at another gateway that is a moment later. */
async function nobodyListens(client: Client, subject: string): Promise<void> {
  while (await client.interest(subject));
}

describeFabrics('a service', fabric => {
  test('does what its callers ask, with any arguments and results', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    await host.service('math', { ...math, echo: (...args: unknown[]) => args })
    const api = guest.call<Math & { echo(...args: unknown[]): unknown }>('math')
    expect(await api.add(1, 2)).toBe(3)
    expect(await api.nothing()).toBeNull()
    const values = [new Date(7), Buffer.from([1]), { deep: [null, 'ü'] }, 2 ** 40]
    expect(await api.echo(...values)).toEqual(values)
    expect(await Promise.all(Array.from({ length: 50 }, (_, n) => api.add(n, n)))).toEqual(
      Array.from({ length: 50 }, (_, n) => 2 * n),
    )
  })

  test('on a pattern serves all subjects, and `this` is the message', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    await host.service('users.*.greet', {
      hello(this: Message, name: string) {
        return `${this.subject} says hello ${name}, ${this.headers?.tone}`
      },
    })
    const api = guest.call('users.ann.greet', { headers: { tone: 'softly' } })
    expect(await api.hello('Bob')).toBe('users.ann.greet says hello Bob, softly')
  })

  test('is called with options of one call, which come before those of the proxy', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    await host.service('slow', {
      tone(this: Message) {
        return this.headers?.tone
      },
      never: () => new Promise(() => {}),
    })
    const api = guest.call('slow', { headers: { tone: 'softly' } })
    expect(await withOptions(api, { headers: { tone: 'loudly' } }).tone()).toBe('loudly')
    expect(await api.tone()).toBe('softly')
    const late = await rejection(withOptions(api, { timeout: 20 }).never())
    expect(hasCode(late, 503, 408) && late.code).toBe(408)
    const aborted = await rejection(withOptions(api, { signal: AbortSignal.abort() }).never())
    expect([hasCode(aborted, 'ABORT_ERR'), hasCode(aborted, 408), hasCode(1, 408)]).toEqual([
      true,
      false,
      false,
    ])
    expect(() => withOptions({}, {})).toThrow('object of call()')
  })

  test('that throws or rejects tells its caller: text, and code if there is one', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    await host.service('math', {
      ...math,
      coded: () => Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' })),
      numbered: () => Promise.reject(Object.assign(new Error('not yours'), { code: 403 })),
      string: () => Promise.reject('only text'),
      nothing: () => Promise.reject(undefined),
      nasty: () => Promise.reject({ toString: () => ({}) }),
      unencodable: () => 1n,
      long: () => Promise.reject(new Error('x'.repeat(2_000_000))),
    })
    const api = guest.call('math')
    const failure = async (call: Promise<unknown>) => {
      const error = await rejection(call)
      expect(error).toBeInstanceOf(FabricError)
      return [error.message, error.code]
    }
    expect(await failure(api.fail('boom'))).toEqual(['boom', 'ERR_SERVICE'])
    expect(await failure(api.coded())).toEqual(['no such file', 'ENOENT'])
    expect(await failure(api.numbered())).toEqual(['not yours', 403])
    expect(await failure(api.string())).toEqual(['only text', 'ERR_SERVICE'])
    expect(await failure(api.nothing())).toEqual(['undefined', 'ERR_SERVICE'])
    expect(await failure(api.nasty())).toEqual([expect.any(String), 'ERR_SERVICE'])
    expect((await failure(api.unencodable()))[1]).toBe('ERR_ENCODE')
    expect(await failure(api.long())).toEqual(['x'.repeat(10_000), 'ERR_SERVICE'])
    expect(await api.add(1, 1)).toBe(2)
  })

  test('has the methods of its class, and none that every object has', async () => {
    class Base {
      inherited() {
        return 'inherited'
      }
    }
    class Impl extends Base {
      value = 7
      own() {
        return 'own'
      }
    }
    const [host, guest] = [fabric.client(), fabric.client()]
    await host.service('impl', new Impl())
    const api = guest.call('impl')
    expect([await api.own(), await api.inherited()]).toEqual(['own', 'inherited'])
    const names = [
      'constructor',
      '__proto__',
      'toString',
      'hasOwnProperty',
      '__defineGetter__',
      'value',
      'gone',
    ]
    for (const name of names) {
      // By hand: the proxy of a caller does not even ask for most of these.
      const answer = await guest.request('impl', [name, ['x']])
      expect(answer.headers).toEqual({ error: `${name} not defined`, code: 'ERR_NOT_DEFINED' })
      expect(answer.data).toBeNull()
    }
    expect(await rejection(api.gone())).toMatchObject({
      code: 'ERR_NOT_DEFINED',
      message: 'gone not defined',
    })
  })

  test('answers calls that are none with an error, and ignores what is no request', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const calls: unknown[] = []
    await host.service('one', { note: (call: unknown) => calls.push(call) })
    for (const call of [null, 'note', [], [7, []], ['note', 'args'], { 0: 'note' }]) {
      expect((await guest.request('one', call)).headers).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    }
    const damaged = await guest.request('one', null, { raw: Buffer.from([0xc1]) })
    expect(damaged.headers).toMatchObject({ code: 'ERR_DECODE' })
    await guest.publish('one', ['note', ['published']])
    await guest.call('one').note('called')
    expect(calls).toEqual(['called'])
  })

  test('that hangs holds up no other call, and its caller gets 408', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    await host.service('slow', { hang: () => new Promise(() => {}), quick: () => 'there' })
    const hanging = rejection(guest.call('slow', { timeout: 300 }).hang())
    expect(await guest.call('slow').quick()).toBe('there')
    expect(await hanging).toMatchObject({ code: 408, message: expect.stringContaining('timeout') })
  })

  test('shares the calls with the others of its queue, "0" unless it says otherwise', async () => {
    const clients = [fabric.client(), fabric.client(), fabric.client()]
    for (const [n, client] of clients.entries()) await client.service('who', { am: () => n })
    expect(clients.map(client => client.queueGroups.who)).toEqual(['0', '0', '0'])
    const one = fabric.client().callMany<{ am(): number }>('who', { maxWait: 300 })
    const answers: unknown[] = []
    for await (const answer of one.am()) answers.push(answer)
    expect(answers.length).toBe(1)
  })

  test('ends when it is closed, and with its client', async () => {
    const [host, other, guest] = [fabric.client(), fabric.client(), fabric.client()]
    const service = await host.service('math', math)
    const second = await other.service('sums', math)
    service.close()
    await host.syncSubscriptions()
    await nobodyListens(guest, 'math')
    expect(await rejection(guest.call('math').add(1, 2))).toMatchObject({ code: 503 })
    await other.close()
    expect(second.ended).toBe(true)
    await nobodyListens(guest, 'sums')
    expect(await rejection(guest.call('sums').add(1, 2))).toMatchObject({ code: 503 })
  })

  test('is refused when it is no object, has a bad subject, or a queue that is not its own', async () => {
    const client = fabric.client()
    for (const implementation of [null, undefined, () => {}, 'math']) {
      expect(await rejection(client.service('a', implementation as object))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      })
    }
    expect(await rejection(client.service('a..b', math))).toMatchObject({ code: 'ERR_INVALID_SUBJECT' })
    await client.subscribe('mine', { queue: 'q' })
    expect(await rejection(client.service('mine', math))).toMatchObject({ code: 'ERR_QUEUE_GROUP' })
    expect(() => client.call('a.*')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_SUBJECT' }))
    expect(() => client.callMany('a.>')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_SUBJECT' }))
    expect(() => client.call('a', { maxWait: 1 } as object)).toThrow(
      expect.objectContaining({ code: 'ERR_UNKNOWN_OPTION' }),
    )
  })
})

describeFabrics('the proxy of a service', fabric => {
  test('is no promise, and can be printed without asking anybody', async () => {
    const guest = fabric.client()
    const api = guest.call('nobody')
    expect(await Promise.resolve(api)).toBe(api)
    expect(JSON.stringify({ api })).toBe('{"api":{}}')
    expect(inspect(api)).toEqual(expect.any(String))
    expect(`${api}`).toBe('[object Service]')
    expect(api instanceof Promise).toBe(false)
    expect(guest.stats.sent.messages).toBe(0)
  })

  test('rejects at once when nobody serves, and with noThrow gives undefined', async () => {
    const guest = fabric.client()
    expect(await rejection(guest.call('nobody').add(1))).toMatchObject({
      code: 503,
      message: "call 'nobody' add(): request -- no subscribers matching 'nobody'",
    })
    expect(await guest.call('nobody', { noThrow: true }).add(1)).toBeUndefined()
    expect(await rejection(guest.callMany('nobody').add(1))).toMatchObject({ code: 503 })
    expect(await rejection(guest.callMany('nobody').add(1).next())).toMatchObject({ code: 503 })
  })

  test('for many services gives every result, and an error for one that threw', async () => {
    const guest = fabric.client()
    const loads = [1, 2, new Error('broken')]
    for (const [n, load] of loads.entries()) {
      const load_ = () => (load instanceof Error ? Promise.reject(load) : load)
      await fabric.client().service('workers', { load: load_ }, { queue: `q${n}` })
    }
    const all = guest.callMany<{ load(): number }>('workers', { maxMessages: 3 })
    const results: unknown[] = []
    for await (const load of all.load()) results.push(load instanceof Error ? load.message : load)
    expect(results.sort()).toEqual([1, 2, 'broken'])
    const opened = await all.load()
    const first = await opened.next()
    expect(first.done).toBe(false)
    expect(await opened.return?.()).toEqual({ value: undefined, done: true })
  })
})
