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

/** Together more than a reader keeps that takes nothing. */
const COUNT = 40
const LARGE = Buffer.alloc(1024 * 1024)

async function gone(socket: AnySocket): Promise<void> {
  if (socket.state !== 'closed') await once(socket, 'closed')
}

describeFabrics('a reader whose writer is cut off', fabric => {
  test('throws when the time of the end was over', async () => {
    const { server, socket } = await pair(fabric)
    socket.pause()
    const read = readAll(socket)
    for (const n of numbers(1, COUNT)) server.write(LARGE, { headers: { n } })
    await expect(server.end({ timeout: 100 })).rejects.toMatchObject({ code: 'ERR_UNDELIVERED' })
    await gone(socket)
    socket.resume()
    const [, error] = await read
    expect(error).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', missing: expect.any(Number) })
    expect(error!.missing).toBeLessThan(COUNT)
  })

  test('has its stream destroyed, though the other end has only closed', async () => {
    const { server, socket } = await pair(fabric)
    const duplex = socket.toDuplex()
    const failed = once(duplex, 'error')
    for (const n of numbers(1, COUNT)) server.write(LARGE, { headers: { n } })
    server.close()
    await gone(socket)
    duplex.resume()
    const [error] = await failed
    expect(error).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', missing: expect.any(Number) })
  })

  test('is told when the writer gave it up as too slow', async () => {
    const listen = { maxQueueSize: 4, slowConsumer: 'close', slowConsumerTimeout: 50 } as const
    const { server, socket } = await pair(fabric, { listen })
    socket.pause()
    const read = readAll(socket)
    for (const n of numbers(1, 4)) server.write(n)
    const [given] = await once(server, 'closed')
    expect(given).toMatchObject({ code: 'ERR_SLOW_CONSUMER', undelivered: 4 })
    await gone(socket)
    socket.resume()
    expect((await read)[1]).toMatchObject({ code: 'ERR_SLOW_CONSUMER' })
  })

  test('sees an end where everything came', async () => {
    const { server, socket } = await pair(fabric)
    const read = readAll(socket)
    for (const n of numbers(1, 40)) server.write(n)
    server.close()
    expect(await read).toEqual([numbers(1, 40)])
  })
})
