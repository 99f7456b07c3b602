// What has arrived is read before the end, in order or not, whoever reads, however slowly.
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { DataEncoding, type FabricError } from 'selvedge'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { type AnySocket, numbers, pair } from '../support/sockets'

/** More than a stream of values reads ahead. */
const COUNT = 50
const LARGE = 4096

/** Reads all of it: each time so much. Called before the end, and read on when the socket has closed. */
type Reads = (socket: AnySocket, take: (data: unknown) => Promise<void>) => Promise<unknown>

const READERS: Record<string, Reads> = {
  'a loop': async (socket, take) => {
    for await (const [data] of socket) await take(data)
  },
  'a loop over a stream of values': async (socket, take) => {
    for await (const data of socket.toDuplex()) await take(data)
  },
  'a loop over a stream that reads one ahead': async (socket, take) => {
    for await (const data of socket.toDuplex({ highWaterMark: 1 })) await take(data)
  },
  'a loop over a stream with headers': async (socket, take) => {
    for await (const item of socket.toDuplex({ headers: true })) await take(item.data)
  },
  'a loop over a stream of bytes': async (socket, take) => {
    for await (const data of socket.toDuplex({ objectMode: false })) await take(data)
  },
  'a pipeline': (socket, take) =>
    pipeline(
      socket.toDuplex(),
      new Writable({
        objectMode: true,
        highWaterMark: 1,
        write: (data, _encoding, done) => void take(data).then(() => done()),
      }),
    ),
  'a reader of pieces of bytes': async (socket, take) => {
    const stream = socket.toDuplex({ objectMode: false })
    const failed = once(stream, 'error')
    failed.catch(() => {})
    while (!stream.readableEnded && !stream.errored) {
      const piece = stream.read(LARGE)
      if (piece !== null) await take(piece)
      else await Promise.race([once(stream, 'readable'), once(stream, 'end'), failed])
    }
    if (stream.errored) throw stream.errored
  },
  'a stream of the platform': async (socket, take) => {
    for await (const data of socket.toWeb().readable) await take(data)
  },
}

const ABORTED = 'ERR_SOCKET_ABORTED'
const ENDS: Record<string, [(socket: AnySocket, client: { close(): unknown }) => unknown, string]> = {
  'an abort': [socket => socket.destroy(Error('the disk is full')), ABORTED],
  'a failed stream': [
    socket =>
      socket
        .toDuplex()
        .on('error', () => {})
        .destroy(Error('the disk is full')),
    ABORTED,
  ],
  'a close': [socket => socket.close(), 'complete'],
  'the close of its client': [(_socket, client) => client.close(), 'complete'],
}

const outcomeOf = (reading: Promise<unknown>): Promise<unknown> =>
  reading.then(
    () => 'complete',
    error => (error as FabricError).code,
  )

describeFabrics('what has arrived is read before', fabric => {
  for (const [how, [end, outcome]] of Object.entries(ENDS)) {
    test.each(Object.entries(READERS))(`${how}, by %s`, async (_name, read) => {
      const { guest, server, socket } = await pair(fabric)
      const closed = once(server, 'closed')
      const sizes: number[] = []
      let go = (): void => {}
      const gone = new Promise<void>(resolve => {
        go = resolve
      })
      const reading = outcomeOf(
        read(server, async data => {
          sizes.push((data as Buffer).length)
          await gone
        }),
      )
      for (const _ of numbers(1, COUNT)) socket.write(Buffer.alloc(LARGE))
      await until(() => server.stats.received >= COUNT)
      await end(socket, guest)
      await closed
      go()
      expect(await reading).toBe(outcome)
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(COUNT * LARGE)
    })
  }

  test.each(Object.entries(READERS))(
    'what can not be decoded is no end in order, by %s',
    async (_name, read) => {
      const { server, socket } = await pair(fabric)
      const closed = once(server, 'closed')
      let count = 0
      const reading = outcomeOf(
        read(server, async () => {
          count += 1
          await closed
        }),
      )
      socket.write(Buffer.alloc(LARGE))
      // An array that is longer than what follows.
      socket.write(null, { raw: Buffer.alloc(LARGE, 0xdd), encoding: DataEncoding.MsgPack })
      await until(() => server.stats.received >= 2)
      socket.close()
      expect(await reading).toBe('ERR_DECODE')
      expect(count).toBe(1)
    },
  )

  test.each(Object.entries(READERS))(
    'what can not be decoded is told to its writer, by %s',
    async (_name, read) => {
      for (const isUp of [true, false]) {
        const { host, guest, server, socket } = await pair(fabric)
        const [from, to] = isUp ? [socket, server] : [server, socket]
        const closed = once(from, 'closed')
        const waiting = outcomeOf(READERS['a loop']!(from, async () => {}))
        const reading = outcomeOf(read(to, async () => {}))
        from.write(null, { raw: Buffer.alloc(LARGE, 0xdd), encoding: DataEncoding.MsgPack })
        expect(await reading).toBe('ERR_DECODE')
        const [reason] = await closed
        expect(reason).toMatchObject({ code: ABORTED, message: expect.stringContaining('ERR_DECODE') })
        expect(await waiting).toBe(ABORTED)
        expect(from.undelivered().length).toBe(1)
        await Promise.all([host.close(), guest.close()])
      }
    },
  )

  test('an abort that nobody would read is told at once', async () => {
    const { server, socket } = await pair(fabric)
    const stream = server.toDuplex()
    const failed = once(stream, 'error')
    for (const n of numbers(1, COUNT)) socket.write(n)
    await until(() => server.stats.received >= COUNT)
    socket.destroy(Error('the disk is full'))
    expect((await failed)[0]).toMatchObject({ code: ABORTED })
  })

  test('and who writes meanwhile is told why it does not leave', async () => {
    const { server, socket } = await pair(fabric)
    const stream = server.toDuplex()
    const [failed, closed] = [once(stream, 'error'), once(server, 'closed')]
    const first = once(stream, 'data')
    for (const n of numbers(1, COUNT)) socket.write(n)
    await first
    stream.pause()
    await until(() => server.stats.received >= COUNT)
    socket.destroy(Error('the disk is full'))
    await closed
    stream.write('an answer')
    expect((await failed)[0]).toMatchObject({ code: ABORTED })
  })
})
