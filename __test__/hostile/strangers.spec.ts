// What one ordinary connection can want of a broker and of a server of sockets, at each door, beside a watched neighbour: the
// broker's time and memory, what all share, the places and the word of others.
import { PATIENCE_MS } from './attacker'
import { arena, besiege, come, comeAll, many } from './siege'
import { DOORS, type Stranger, type Words } from './stranger'

let server: string

besiege()

beforeAll(async () => {
  server = await arena.victim.ask<string>('server')
})

/** 505 tokens. */
const LONG = Array(505).fill('a').join('.')

/** A socket of the victim's, which the stranger makes by hand in the old mode. */
async function socketOf(stranger: Stranger, id: string): Promise<(words?: Partial<Words>) => Words> {
  const subject = `victim.server.${server}.${id}`
  await stranger.subscribe([`victim.client.${id}`])
  await stranger.say(stranger.message({ subject, command: 'connect', attempt: 1, headers: { id } }))
  await seen(id, () => true)
  return words => ({ subject, ...words })
}

interface Seen {
  data: unknown[]
  requests: number
  closed: string | null
}

async function seen(id: string, isSo: (record: Seen) => boolean): Promise<Seen> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const record = await arena.victim.ask<Seen>('seen', { id })
    if (isSo(record)) return record
    if (Date.now() > end) throw Error(`not in time: ${JSON.stringify(record)}`)
  }
}

/** A socket between honest people still works. */
async function honestSocketWorks(): Promise<void> {
  const id = await arena.victim.ask<string>('open')
  await arena.victim.ask('say', { id, data: 'hello' })
  expect(await arena.victim.ask('drained', { id })).toMatchObject({
    data: ['hello', expect.anything()],
    closed: null,
  })
}

describe.each(DOORS)('at the door %s', door => {
  test('500 patterns of 512 tokens, and messages that nearly match', async () => {
    const stranger = await come(door)
    const patterns = many(500, n => {
      const bits = many(9, bit => ((n >> bit) & 1 ? '*' : 'a'))
      return ['own', ...bits, ...many(501, () => 'a'), 'b'].join('.')
    })
    for (const at of [0, 250]) await stranger.subscribe(patterns.slice(at, at + 250))
    const subject = `own.${many(511, () => 'a').join('.')}`
    stranger.raw.say(stranger.message({ subject }, 100))
    await stranger.settles()
  })

  test('thousands of waits in long subjects, and patterns with wildcards in front', async () => {
    for (const [i, waiter] of (await comeAll(door, 3)).entries()) {
      waiter.wait(many(1000, n => `w.${i}x${n}.${LONG}`))
      await waiter.settles()
    }
    await (await come(door)).subscribe(many(300, n => `*.*.${LONG}.${n}`))
  })

  test('who asks for large lists and does not read is not answered on credit', async () => {
    for (const [i, stranger] of (await comeAll(door, 4)).entries()) {
      for (let n = 0; n < 100; n += 25) {
        await stranger.subscribe(many(25, k => `${'y'.repeat(8000)}${i}_${n + k}`))
      }
      stranger.raw.socket.pause()
      stranger.list(100)
    }
    // Each has 80 MB coming. What was asked has been read once the neighbour is answered.
    await honestSocketWorks()
  })

  test('one frame of 2000 patterns where 500 are allowed', async () => {
    const stranger = await come(door)
    expect(await stranger.subscribe(many(2000, n => `x${n}.>`))).toBe(true)
    expect(stranger.raw.heard.includes('429')).toBe(true)
  })

  test('more waits than one may have', async () => {
    const stranger = await come(door)
    stranger.wait(many(1500, n => `wait.x${n}`))
    await stranger.settles()
    expect(stranger.raw.heard.includes('429')).toBe(true)
    await honestSocketWorks()
  })

  test('1500 messages begun for a socket that is not there, and for a subscription', async () => {
    const stranger = await come(door)
    for (const subject of [`victim.server.${server}.nobody`, 'plain.x']) {
      const begun = many(1500, n => stranger.message({ subject, chunk: [`m${n}`, 0, false] }))
      await stranger.say(Buffer.concat(begun))
    }
    const id = await arena.victim.ask<string>('open')
    await arena.victim.ask('sayLarge', { id, bytes: 9_000_000 })
    expect(await seen(id, record => record.data.length > 0)).toMatchObject({ closed: null })
  })

  test('a flood of requests over a socket', async () => {
    const stranger = await come(door)
    const to = await socketOf(stranger, `flood-${DOORS.indexOf(door)}`)
    stranger.raw.socket.resume()
    stranger.raw.say(stranger.message(to({ reply: '_INBOX.nobody.1' }), 20_000))
    await stranger.settles()
    await honestSocketWorks()
  })

  test('data to thousands of sockets that are not there', async () => {
    const stranger = await come(door)
    const bytes = many(2000, n =>
      stranger.message({ subject: `victim.server.${server}.u${n}`, seq: 1, reply: '_INBOX.a.b' }),
    )
    for (let n = 0; n < 5; n++) stranger.raw.say(Buffer.concat(bytes))
    await stranger.settles()
    await honestSocketWorks()
  })

  test('one message 5000 times is delivered once', async () => {
    const stranger = await come(door)
    const id = `again-${DOORS.indexOf(door)}`
    const to = await socketOf(stranger, id)
    const one = to({ seq: 1, payload: Buffer.from([1]) })
    stranger.raw.say(stranger.message(one, 5000))
    stranger.raw.say(stranger.message(to({ seq: 2, payload: Buffer.from([2]) })))
    expect(
      (await seen(id, record => record.data.length >= 4)).data.filter(data => typeof data === 'number'),
    ).toEqual([1, 2])
  })

  test('a flood of searches, pings, connects and acknowledgements', async () => {
    const stranger = await come(door)
    const to = await socketOf(stranger, `words-${DOORS.indexOf(door)}`)
    const reply = '_INBOX.nobody.2'
    // {socket: {emitted: 0}}
    const acknowledgement = Buffer.from('81a6736f636b657481a7656d697474656400', 'hex')
    for (const words of [
      { subject: 'victim.server.status', reply },
      to({ command: 'ping', reply }),
      to({ command: 'connect', attempt: 2, headers: { id: 'x' } }),
      to({ command: 'socket', reply, payload: acknowledgement }),
    ]) {
      stranger.raw.say(stranger.message(words, 3000))
    }
    await stranger.settles()
    await honestSocketWorks()
  })

  test.each([
    ['where the stream is spoken', true],
    ['between older ends', false],
  ])('what is not from the server closes no client’s socket %s, and is counted', async (_, stream) => {
    const stranger = await come(door)
    const id = await arena.victim.ask<string>('open', { stream })
    const subject = `victim.client.${id}`
    const garbage = Buffer.from([0xc1])
    const strays: Partial<Words>[] = [
      {},
      { attempt: 7, headers: { a: 1 } },
      { seq: 2 ** 52, attempt: 7 },
      { command: 'socket', payload: garbage },
    ]
    for (const words of strays) await stranger.say(stranger.message({ subject, ...words }))
    await arena.victim.ask('say', { id, data: 'still here' })
    expect((await arena.victim.ask('drained', { id })).closed).toBe(null)
    expect(await arena.victim.ask<Seen>('own', { id })).toMatchObject({
      closed: null,
      // In the stream a command is no word at all.
      foreign: stream ? strays.length - 1 : strays.length,
    })
  })

  test('a header with half of a surrogate pair cuts nobody off', async () => {
    const stranger = await come(door)
    await arena.victim.ask('plain')
    const headers = { 'a\ud800': 'b\udc00', deep: { '\udfff': ['\ud83d'] } }
    await stranger.say(stranger.message({ subject: 'plain.x', headers }))
    await stranger.say(stranger.message({ subject: 'plain.y', headers: { last: 1 } }))
    const end = Date.now() + PATIENCE_MS
    const heard: [unknown, unknown][] = []
    while (!JSON.stringify(heard).includes('last') && Date.now() < end)
      heard.push(...(await arena.victim.ask('plain')))
    expect(heard).toHaveLength(2)
    await honestSocketWorks()
  })
})
