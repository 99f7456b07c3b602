// Who connects to a listener for the first time, while a crowd asks it who serves, or has taken the places that there are.
import { connect } from 'selvedge'
import { STALL_MS, stopwatch } from '../support/stall'
import { pour } from './attacker'
import { HandMadeSocket } from './hand-made-socket'
import { arena, besiege, come } from './siege'
import { DOORS, type Door, type Stranger } from './stranger'

jest.setTimeout(60_000)

besiege({ trustedProxies: ['127.0.0.1'] }, 200)

/** A stranger at this address, by the word of a proxy. */
const comeFrom = (door: Door, address = '10.0.0.1'): Promise<Stranger> =>
  come(door, { 'X-Forwarded-For': address })

/** The longest that a socket of somebody else takes to be ready, of some in a row. */
async function slowest(count: number): Promise<number> {
  let worst = 0
  for (let n = 0; n < count; n++) {
    const waited = stopwatch(arena.broker.pid, arena.victim.pid)
    await arena.victim.ask('open')
    worst = Math.max(worst, waited())
  }
  return worst
}

describe.each(DOORS)('at the door %s', door => {
  test('a flood of questions who serves holds up nobody', async () => {
    const stranger = await comeFrom(door)
    const flood = stranger.message({ subject: 'victim.server.status', reply: '_INBOX.nobody.7' }, 2000)
    const stop = pour(stranger.raw, () => flood)
    try {
      // What may be answered at once is used up.
      for (let n = 0; n < 10; n++) expect(await stranger.settles()).toBe(true)
      expect(await slowest(20)).toBeLessThan(STALL_MS)
    } finally {
      stop()
    }
  })

  test('crowds of connections without users leave places', async () => {
    const subject = `narrow.${DOORS.indexOf(door)}`
    const server = await arena.victim.ask<string>('narrow', { subject })
    for (let n = 0; n < 4; n++) {
      const ids = Array.from({ length: 200 }, (_, k) => `crowd-${n}-${k}`)
      const stranger = await comeFrom(door)
      await HandMadeSocket.attach(stranger, subject, server, ids).catch(() => {})
    }
    const client = connect({ address: `http://127.0.0.1:${arena.port}`, noCache: true })
    try {
      const waited = stopwatch(arena.broker.pid, arena.victim.pid)
      await client.socket.connect(subject).waitUntilReady()
      expect(waited()).toBeLessThan(STALL_MS)
    } finally {
      await client.close()
    }
  })

  test('crowds of one address, however many, leave places for those of others', async () => {
    const subject = `crowded.${DOORS.indexOf(door)}`
    const server = await arena.victim.ask<string>('narrow', { subject })
    const attach = async (n: number, count: number, address?: string): Promise<boolean> => {
      const ids = Array.from({ length: count }, (_, k) => `many-${n}-${k}`)
      const stranger = await comeFrom(door, address)
      await HandMadeSocket.attach(stranger, subject, server, ids).catch(() => {})
      return !stranger.raw.heard.includes('"code":"429"')
    }
    for (let n = 0; n < 4; n++) await attach(n, 200)
    const came: boolean[] = []
    for (let n = 4; n < 24; n++) came.push(await attach(n, 1))
    expect(came.at(0)).toBe(true)
    expect(came.at(-1)).toBe(false)
    const waited = stopwatch(arena.broker.pid, arena.victim.pid)
    expect(await attach(24, 1, '10.0.0.2')).toBe(true)
    expect(await attach(25, 1, '2001:db8::1')).toBe(true)
    expect(await attach(26, 1, '2001:db8::2')).toBe(false)
    expect(waited()).toBeLessThan(STALL_MS)
  })
})
