// What all share and one takes, and whose word something is, beside a watched neighbour: places among handshakes, waits and
// begun messages; forged answers and chunks; odd heads; the broker's event loop; ends that many watch.
import { head, ownFrame, PATIENCE_MS, type Raw } from './attacker'
import { arena, besiege, come, comeAll, knock, many } from './siege'
import { DOORS, name, varint } from './stranger'

besiege()

/** MessagePack of a short text. */
const pack = (text: string): Buffer => Buffer.concat([Buffer.from([0xa0 + text.length]), Buffer.from(text)])

describe.each(DOORS)('at the door %s', door => {
  test('who answers one question answers no other, however he guesses', async () => {
    const stranger = await come(door)
    const service = `stranger.${DOORS.indexOf(door)}`
    await stranger.subscribe([service])
    const first = arena.victim.ask('request', { subject: service })
    expect(await stranger.raw.hears('_INBOX')).toBe(true)
    const reply = /_INBOX[\w.~-]+/.exec(stranger.raw.heard.toString('latin1'))![0]
    await stranger.say(stranger.message({ subject: reply, payload: pack('mine') }))
    expect(await first).toBe('mine')
    // What he has seen, counted up, and once more: before, while and after others are asked.
    const last = reply.split('.').at(-1)!
    const prefix = reply.slice(0, -last.length)
    const guesses = [reply, ...many(100, n => `${prefix}${n}`), ...many(100, n => nextOf(reply, n + 1))]
    const forged = Buffer.concat(
      guesses.map(subject => stranger.message({ subject, payload: pack('forged') })),
    )
    const answers: unknown[] = []
    for (let n = 0; n < 5; n++) {
      stranger.raw.say(forged)
      answers.push(await arena.victim.ask('request', { subject: 'honest.service' }))
    }
    await stranger.settles()
    expect(answers).toEqual(Array(5).fill('honest'))
  })

  test('places of messages that have begun are shared by connection and address', async () => {
    for (const [k, stranger] of (await comeAll(door, 3)).entries()) {
      const own = `own.${DOORS.indexOf(door)}.${k}`
      await stranger.subscribe([own, ...many(100, n => `own.*.${k}${'.*'.repeat(n % 3)}.${n}`)])
      const begun = many(1100, n => stranger.message({ subject: own, chunk: [`m${n}`, 0, false] }))
      await stranger.say(Buffer.concat(begun))
    }
    const id = await arena.victim.ask<string>('open')
    await arena.victim.ask('sayLarge', { id, bytes: 9_000_000 })
    expect((await arena.victim.ask('drained', { id })).data[0]).toEqual({ bytes: 9_000_000 })
  })

  test('a broker’s program waits for nobody when it looks at its figures', async () => {
    const stranger = await come(door)
    const patterns = many(240, n => ['walk', ...many(8, bit => ((n >> bit) & 1 ? '*' : 'a')), 'b'].join('.'))
    await stranger.subscribe(patterns)
    await arena.broker.ask('watch')
    const subject = `walk.${Array(8).fill('a').join('.')}.c`
    stranger.raw.say(stranger.message({ subject }, 60_000))
    await stranger.settles()
    expect(await arena.broker.ask('gap')).toBeLessThan(1000)
  })
})

/** The same with its last digits counted up. */
const nextOf = (reply: string, by: number): string =>
  reply.replace(/(\d+)(\D*)$/, (_, digits, rest) => `${BigInt(digits) + BigInt(by)}${rest}`)

test.each(DOORS)(
  '66 000 waits of 66 connections leave the waits of others, and end with them, at the door %s',
  async door => {
    const visitors = await comeAll(door, 66)
    for (const [k, visitor] of visitors.entries()) visitor.wait(many(1000, n => `w${k}.${n}`))
    for (const visitor of visitors) await visitor.settles()
    const subject = `late.${DOORS.indexOf(door)}`
    const late = arena.victim.ask('interest', { subject })
    await arena.victim.ask('subscribe', { subject })
    expect(await late).toBe(true)
    // All of them go at once.
    for (const visitor of visitors) visitor.raw.end()
    await (await come(door)).settles()
  },
  60_000,
)

test('600 requests that never end, again and again, keep nobody out', async () => {
  const half = head(arena.port).slice(0, 60)
  const open = new Set<Raw>()
  let isOver = false
  const again = async (): Promise<void> => {
    while (!isOver) {
      const raw = knock(half)
      open.add(raw)
      await raw.gone
      open.delete(raw)
      // The broker's pace, not a loop's.
      await new Promise(setImmediate)
    }
  }
  const all = many(600, again)
  try {
    for (const door of DOORS) expect(await (await come(door)).settles()).toBe(true)
  } finally {
    isOver = true
    for (const raw of open) raw.end()
    await Promise.all(all)
  }
})

test.each([
  ['a Host with a user', { Host: 'localhost:80@evil.example' }, 400],
  ['a Host that is another', { Host: 'evil.example' }, 403],
  ['a body', { 'Content-Length': '5' }, 400],
  ['chunks for a body', { 'Transfer-Encoding': 'chunked' }, 400],
])('an upgrade with %s is refused', async (_, fields: Record<string, string>, status) => {
  for (const upgrade of ['websocket', 'selvedge/1']) {
    const raw = knock(head(arena.port, { ...fields, Upgrade: upgrade }), 'hello')
    expect(await raw.hears('\r\n\r\n')).toBe(true)
    expect([upgrade, raw.heard.toString('latin1', 9, 12)]).toEqual([upgrade, String(status)])
  }
})

test.each(DOORS)(
  'a chunk under the id of another’s message joins nothing, said at the door %s',
  async door => {
    const [ear, stranger] = [await come('conat'), await come(door)]
    await ear.subscribe(['plain.*'])
    await arena.victim.ask('plain')
    const sent = arena.victim.ask('publish', { subject: 'plain.big', bytes: 9_000_000 })
    expect(await ear.raw.hears('"subject":"plain.big","data":["')).toBe(true)
    const [, id] = /"subject":"plain.big","data":\["([^"]+)"/.exec(ear.raw.heard.toString('latin1'))!
    for (const seq of [1, 2, 3]) {
      await stranger.say(stranger.message({ subject: 'plain.big', chunk: [id!, seq, seq === 3] }))
    }
    await sent
    await arena.victim.ask('publish', { subject: 'plain.last', bytes: 1 })
    const heard: [unknown, unknown][] = []
    for (const end = Date.now() + PATIENCE_MS; heard.length < 2 && Date.now() < end; )
      heard.push(...(await arena.victim.ask('plain')))
    expect(heard.map(([data]) => data)).toEqual([{ bytes: 9_000_000 }, { bytes: 1 }])
  },
)

test.each(['selvedge', 'selvedge in a WebSocket'] as const)(
  'an end that 100 000 watch and whose owner comes and goes, at the door %s',
  async door => {
    const watchers = await comeAll(door, 2)
    for (const watcher of watchers) {
      for (let part = 0; part < 50; part++) {
        const requests = many(1000, n =>
          Buffer.concat([varint((part * 1000 + n) * 2 + 1), name('a.client.x')]),
        )
        watcher.frame(ownFrame(7, Buffer.concat(requests)))
      }
      // Its answers are read, what comes of the end is not.
      await watcher.settles()
      watcher.raw.socket.pause()
    }
    const owner = await come(door)
    for (let n = 0; n < 10; n++) {
      owner.frame(
        ownFrame(6, JSON.stringify({ op: 'subscribe', subscriptions: [['a.client.x', 'q']], list: true })),
      )
      owner.frame(ownFrame(6, JSON.stringify({ op: 'unsubscribe', patterns: ['a.client.x'], list: true })))
    }
    await owner.settles()
  },
  60_000,
)
