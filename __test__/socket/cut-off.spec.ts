// A reader whose writer did not end in order: what looks whole is whole.
import { once } from 'node:events'
import type { FabricError } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { type AnySocket, numbers, pair } from '../support/sockets'

/** Reads until the end: what came, and why there is no more. */
async function readAll(socket: AnySocket): Promise<[unknown[], FabricError?]> {
  const came: unknown[] = []
  try {
    for await (const [data] of socket) came.push(data)
    return [came]
  } catch (error) {
    return [came, error as FabricError]
  }
}

describeFabrics('a reader whose writer is cut off', fabric => {
  test('throws behind what came when the time of the end was over', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 4 } })
    socket.pause()
    const closed = once(socket, 'closed')
    for (const n of numbers(1, 40)) server.write(n)
    await expect(server.end({ timeout: 100 })).rejects.toMatchObject({ code: 'ERR_UNDELIVERED' })
    const reason = { code: 'ERR_SOCKET_CLOSED_BY_PEER', missing: 36 }
    expect((await closed)[0]).toMatchObject(reason)
    socket.resume()
    expect(await readAll(socket)).toEqual([numbers(1, 4), expect.objectContaining(reason)])
  })

  test('has its stream destroyed, though the other end has only closed', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 4 } })
    const duplex = socket.toDuplex()
    const failed = once(duplex, 'error')
    const closed = once(socket, 'closed')
    for (const n of numbers(1, 40)) server.write(n)
    server.close()
    await closed
    duplex.resume()
    expect((await failed)[0]).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', missing: 36 })
  })

  test('is told when the writer gave it up as too slow', async () => {
    const listen = { maxQueueSize: 4, slowConsumer: 'close', slowConsumerTimeout: 50 } as const
    const { server, socket } = await pair(fabric, { listen })
    socket.pause()
    const closed = once(socket, 'closed')
    for (const n of numbers(1, 4)) server.write(n)
    const [given] = await once(server, 'closed')
    expect(given).toMatchObject({ code: 'ERR_SLOW_CONSUMER', undelivered: 4 })
    await closed
    socket.resume()
    expect(await readAll(socket)).toEqual([
      numbers(1, 4),
      expect.objectContaining({ code: 'ERR_SLOW_CONSUMER' }),
    ])
  })

  test('sees an end where everything came', async () => {
    const { server, socket } = await pair(fabric)
    const read = readAll(socket)
    for (const n of numbers(1, 40)) server.write(n)
    server.close()
    expect(await read).toEqual([numbers(1, 40)])
  })
})
