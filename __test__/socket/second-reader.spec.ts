// A reader that comes behind another one, which was taken from by hand and neither read to its end nor left: nothing is missing.
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ServerSocket } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { numbers, pair } from '../support/sockets'

/** How the first message is taken. */
const TAKES: Readonly<Record<string, (socket: ServerSocket) => Promise<unknown>>> = {
  'iter()': async socket => (await socket.iter().next()).value?.[0],
  'the iterator of a loop': async socket => (await socket[Symbol.asyncIterator]().next()).value?.[0],
  'several iterators': async socket => {
    socket.iter()
    const eager = socket.iter()
    const [, [data]] = (await Promise.all(
      [socket[Symbol.asyncIterator](), eager].map(async each => (await each.next()).value),
    )) as [unknown, [unknown]]
    return data
  },
  'a loop that is left': async socket => {
    for await (const [data] of socket) return data
    return undefined
  },
  once: async socket => (await once(socket, 'data'))[0],
}

/** Who reads the rest. */
const READERS: Readonly<Record<string, (socket: ServerSocket) => Promise<unknown[]>>> = {
  toDuplex: async socket => {
    const rest: unknown[] = []
    const write = (chunk: unknown, _: string, done: () => void): void => {
      rest.push(chunk)
      done()
    }
    await pipeline(socket.toDuplex(), new Writable({ objectMode: true, write }))
    return rest
  },
  toWeb: async socket => {
    const rest: unknown[] = []
    for await (const value of socket.toWeb().readable as unknown as AsyncIterable<unknown>) rest.push(value)
    return rest
  },
  'a loop': async socket => {
    const rest: unknown[] = []
    for await (const [data] of socket) rest.push(data)
    return rest
  },
  'a listener': async socket => {
    const rest: unknown[] = []
    socket.on('data', data => rest.push(data))
    await once(socket, 'closed')
    return rest
  },
}

/** Which readers leave an iterator behind that holds messages, unacknowledged, until it is left. */
const isHeldBack = (take: string, reader: string): boolean =>
  !/left|once/.test(take) && !reader.startsWith('to')

/** A socket whose server answers requests: then what was written before them has come. */
async function answering(fabric: Fabric): Promise<Awaited<ReturnType<typeof pair>>> {
  const sides = await pair(fabric)
  sides.server.on('request', request => request.respondSync())
  return sides
}

describeFabrics('a second reader of a socket', fabric => {
  for (const [take, first] of Object.entries(TAKES)) {
    for (const [reader, readRest] of Object.entries(READERS)) {
      test(`${reader}, behind ${take}, has all that was handed to nobody`, async () => {
        const { server, socket } = await answering(fabric)
        const head = first(server)
        for (const n of numbers(1, 4)) socket.write(n)
        expect(await head).toBe(1)
        // Behind them: they have come.
        await socket.request()
        const rest = readRest(server)
        for (const n of numbers(5, 9)) socket.write(n)
        if (isHeldBack(take, reader)) {
          await socket.request()
          socket.close()
        } else await socket.end()
        expect(await rest).toEqual(numbers(2, 9))
      })
    }
  }

  test.each(['toDuplex', 'toWeb'] as const)(
    'a loop that a stream of %s has taken over from throws, waiting or not',
    async name => {
      const { server } = await answering(fabric)
      const [waiting, idle] = [server.iter(), server.iter()]
      const failed = expect(waiting.next()).rejects.toMatchObject({ code: 'ERR_SOCKET_TAKEN' })
      server[name]()
      await failed
      await expect(idle.next()).rejects.toMatchObject({ code: 'ERR_SOCKET_TAKEN' })
      expect(await idle.next()).toEqual({ value: undefined, done: true })
    },
  )

  test('a loop that comes behind the end is told what nobody was handed', async () => {
    const { server, socket } = await answering(fabric)
    const [messages, closed] = [server.iter(), once(server, 'closed')]
    for (const n of numbers(1, 4)) socket.write(n)
    await messages.next()
    await socket.request()
    socket.close()
    await closed
    const missing = { code: 'ERR_SOCKET_CLOSED_BY_PEER', missing: 3 }
    await expect(server.iter().next()).rejects.toMatchObject(missing)
    await messages.return!()
    await expect(server.iter().next()).rejects.toMatchObject(missing)
  })

  test('a loop that was paused at the end is told what had come', async () => {
    const { server, socket } = await answering(fabric)
    const [messages, closed] = [server.iter(), once(server, 'closed')]
    const first = messages.next()
    socket.write(1)
    await first
    server.pause()
    for (const n of numbers(2, 4)) socket.write(n)
    await socket.request()
    socket.close()
    await closed
    await expect(messages.next()).rejects.toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', missing: 3 })
  })
})
