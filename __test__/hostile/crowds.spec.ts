// A receiver that somebody floods, at each door: what is under way to it is bounded, and the rest waits in the broker, where each
// sender has a turn. Counted in messages, not timed.
import { type Client, connect } from 'selvedge'
import { frame, ownFrame, pour, type Raw, text } from './attacker'
import { arena, besiege, come } from './siege'
import { DOORS, type Door } from './stranger'

/** Of one receiver, and what one look at its queue takes more (docs/reference/limits.md). */
const MAX_UNDER_WAY = 8192 + 1024
/** Of a flood, between a message of a neighbour's and its answer: of those that come while it is under way, too. */
const MAX_BETWEEN = 40_000

jest.setTimeout(60_000)

let clients: Client[] = []

besiege({}, 200)

afterEach(async () => {
  for (const client of clients) await client.close()
  clients = []
})

const [PING, PONG] = [4, 5].map(kind => ownFrame(kind, '')) as [Buffer, Buffer]

/** Answers the pings that the broker sends from now on: an honest client does at once, wherever it reads them. */
function answerPings(raw: Raw, door: Door): void {
  const ping = door === 'conat' ? Buffer.from([0x81, 1, 0x32]) : PING
  const pong = { selvedge: PONG, 'selvedge in a WebSocket': frame(2, PONG), conat: text('3') }[door]
  let looked = raw.heard.length
  raw.socket.on('data', () => {
    for (let at = raw.heard.indexOf(ping, looked); at >= 0; at = raw.heard.indexOf(ping, looked)) {
      looked = at + ping.length
      raw.say(pong)
    }
    looked = Math.max(looked, raw.heard.length - ping.length + 1)
  })
}

describe.each(DOORS)('at the door %s', door => {
  test('no more is under way to one who does not read than a window, and the rest comes when he does', async () => {
    const [reader, speaker] = [await come(door), await come(door)]
    const subject = `crowd.${DOORS.indexOf(door)}`
    await reader.subscribe([subject])
    answerPings(reader.raw, door)
    reader.raw.socket.pause()
    const count = 12_000
    await speaker.say(speaker.message({ subject }, count))
    const { outbox } = await arena.broker.ask('totals')
    expect(outbox.messages).toBeGreaterThanOrEqual(count - MAX_UNDER_WAY)
    reader.raw.socket.resume()
    await speaker.say(speaker.message({ subject, payload: Buffer.from('the last one') }))
    expect(await reader.raw.hears('the last one')).toBe(true)
  })

  test('a neighbour at the same listener waits behind a part of the flood only', async () => {
    const server = await arena.victim.ask<string>('counter')
    const stranger = await come(door)
    const [id, inbox] = [`flood-${DOORS.indexOf(door)}`, '_INBOX.nobody.3']
    const subject = `counter.server.${server}.${id}`
    await stranger.subscribe([`counter.client.${id}`])
    await stranger.say(stranger.message({ subject, command: 'connect', attempt: 1, headers: { id } }))
    const flood = stranger.message({ subject, reply: inbox }, 1000)
    const client = connect({ address: `http://127.0.0.1:${arena.port}`, noCache: true })
    clients.push(client)
    const socket = client.socket.connect('counter')
    await socket.waitUntilReady()
    const counts: number[] = []
    const done = new Promise<void>(resolve => {
      socket.on('data', (count: number) => {
        counts.push(count)
        if (counts.length < 9) socket.write(null)
        else resolve()
      })
    })
    stranger.raw.socket.resume()
    socket.write(null)
    const stop = pour(stranger.raw, () => flood)
    await done
    stop()
    const between = counts.slice(1).map((count, n) => count - counts[n]!)
    // Of the quick ones: what the flood says until this process hears of an answer, and asks again, is counted, too.
    expect(between.sort((a, b) => a - b)[2]).toBeLessThan(MAX_BETWEEN)
  })
})
