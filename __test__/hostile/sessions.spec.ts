// Rows 21, 23 and 28 to 35 of the bad inputs: said to sockets and their listeners by somebody who knows their names.
import { encode as pack } from '@msgpack/msgpack'
import { STALL_MS, stopwatch } from '../support/stall'
import { joined, PATIENCE_MS, publish, settle } from './attacker'
import { arena, besiege, plain, visit } from './siege'

const NIL = Buffer.from([0xc0])

besiege()

/** An attacker who knows a socket of the victim's server, and where it listens; between two ends that speak the stream, or not. */
async function atServer(stream = false): Promise<{
  id: string
  attack: (headers: string, payload?: Buffer) => Promise<void>
}> {
  const id = await arena.victim.ask('open', { stream })
  const server = await arena.victim.ask('server')
  const raw = await visit(joined)
  let ack = 100
  const attack = async (headers: string, payload: Buffer = NIL): Promise<void> => {
    raw.say(publish(`victim.server.${server}.${id}`, payload, headers, String(++ack)))
    expect(await raw.hears(`43${ack}[`)).toBe(true)
  }
  return { id, attack }
}

const control = (value: unknown): Buffer => Buffer.from(pack({ socket: value }))

/** The server's side of a socket, once it is as it should be. */
async function seenAs(id: string, is: (seen: any) => boolean): Promise<any> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const seen = await arena.victim.ask('seen', { id })
    if (is(seen) || Date.now() > end) return seen
  }
}

const BREACHES: [string, string, ...Buffer[]][] = [
  ['row 28: number 0', '{"CN-SocketSeq":0}'],
  ['row 28: a negative number', '{"CN-SocketSeq":-1}'],
  ['row 28: a fraction', '{"CN-SocketSeq":1.5}'],
  ['row 28: a text', '{"CN-SocketSeq":"1"}'],
  ['row 28: beyond 2^53', '{"CN-SocketSeq":9007199254740993}'],
  ['row 28: far ahead', '{"CN-SocketSeq":900000000}'],
  ['row 30: no number', '{"x":1}'],
  [
    'row 29: an acknowledgement of what was never sent',
    '{"CN-SocketCmd":"socket"}',
    control({ emitted: 1000 }),
  ],
  ['row 29: a negative one', '{"CN-SocketCmd":"socket"}', control({ emitted: -1 })],
  ['row 29: a control message that is none', '{"CN-SocketCmd":"socket"}', Buffer.from([0xc1])],
  [
    'row 21: a control message that claims 4 G',
    '{"CN-SocketCmd":"socket"}',
    Buffer.from([0xdf, 255, 255, 255, 255]),
  ],
  ['row 23: a reserved header of a wrong type', '{"CN-SocketCmd":7}'],
]

describe('sessions', () => {
  test.each(BREACHES)('%s is passed over and counted', async (_row, headers, ...payload) => {
    const { id, attack } = await atServer()
    await attack(headers, payload[0])
    await attack(headers, payload[0])
    await arena.victim.ask('say', { id, data: 'on' })
    expect(await arena.victim.ask('drained', { id })).toMatchObject({ data: ['on', {}], closed: null })
    expect((await arena.victim.ask('seen', { id })).foreign).toBe(2)
  })

  test.each(BREACHES)('%s changes nothing where the stream is spoken', async (_row, headers, ...payload) => {
    const { id, attack } = await atServer(true)
    await attack(headers, payload[0])
    await attack('{"CN-SocketCmd":"close"}')
    await arena.victim.ask('say', { id, data: 'on' })
    expect((await arena.victim.ask('drained', { id })).data).toEqual(['on', {}])
    expect((await seenAs(id, () => true)).closed).toBe(null)
  })

  test('row 31: past, doubled and replayed numbers are delivered once', async () => {
    const { id, attack } = await atServer()
    await arena.victim.ask('say', { id, data: 'first' })
    await arena.victim.ask('drained', { id })
    for (let i = 0; i < 50; i++) await attack('{"CN-SocketSeq":1}', Buffer.from([0xa1, 0x78]))
    await arena.victim.ask('say', { id, data: 'second' })
    expect((await arena.victim.ask('drained', { id })).data).toEqual(['first', {}, 'second', {}])
  })

  test('row 29: a flood of acknowledgements that go back', async () => {
    const { id, attack } = await atServer()
    for (let i = 0; i < 300; i++) await attack('{"CN-SocketCmd":"socket"}', control({ emitted: 0 }))
    await arena.victim.ask('say', { id, data: 'on' })
    expect((await arena.victim.ask('drained', { id })).data).toEqual(['on', {}])
  })

  test('row 35: asking again and again for everything', async () => {
    const { id, attack } = await atServer()
    const all = control({ missing: Array.from({ length: 10_000 }, (_, i) => i + 1) })
    for (let i = 0; i < 100; i++) await attack('{"CN-SocketCmd":"socket"}', all)
    await arena.victim.ask('say', { id, data: 'on' })
    expect((await arena.victim.ask('drained', { id })).data).toEqual(['on', {}])
    // A longer list than anybody needs says nothing.
    await attack(
      '{"CN-SocketCmd":"socket"}',
      control({ missing: Array.from({ length: 10_001 }, (_, i) => i) }),
    )
    expect((await seenAs(id, seen => seen.foreign === 1)).closed).toBe(null)
  }, 60_000)

  test('row 32: 3000 messages begun and none finished', async () => {
    const raw = await visit(joined)
    const before = (await arena.victim.ask('report')).rss
    const piece = Buffer.alloc(20_000)
    for (let i = 0; i < 3000; i++) {
      const bytes = publish('plain.unfinished', piece)
      raw.say(Buffer.from(bytes.toString('latin1').replace(',0,1,0,', ',0,0,0,'), 'latin1'))
      if (i % 100 === 99) expect(await settle(raw)).toBe(true)
    }
    expect((await arena.victim.ask('report')).rss - before).toBeLessThan(100 * 2 ** 20)
    expect(await plain(NIL)).toEqual([[null, null]])
  }, 60_000)

  test('row 33: 300 who ask to connect and do not listen', async () => {
    const server = await arena.victim.ask('server')
    const raw = await visit(joined)
    for (let i = 0; i < 300; i++) {
      const headers = '{"CN-SocketCmd":"connect","CN-SocketConnectAttempt":1,"CN-Reply":"_INBOX.nobody.here"}'
      raw.say(publish(`victim.server.${server}.deaf${i}`, NIL, headers))
    }
    expect(await settle(raw)).toBe(true)
    const waited = stopwatch(arena.broker.pid, arena.victim.pid)
    const id = await arena.victim.ask('open')
    expect(waited()).toBeLessThan(STALL_MS)
    await arena.victim.ask('say', { id, data: 'on' })
    expect((await arena.victim.ask('drained', { id })).data).toEqual(['on', {}])
  })
})
