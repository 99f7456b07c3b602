// Requests of a socket that renews itself: asked again where no server can have had them, else failed, and never done twice.
import { once } from 'node:events'
import type { FabricError } from 'selvedge'
import { describeFabric, describeFabrics, type Fabric } from '../support/fabrics'
import { disconnection, listening } from '../support/sockets'
import { accepted, connected, serve } from './renewal-servers'

/** A server that keeps two requests, which `close` leaves unanswered. */
async function stand(fabric: Fabric): Promise<{ kept: Promise<unknown>; close: () => void }> {
  const host = fabric.client()
  const listener = await listening(host, 'orders', { id: 'first' })
  const kept = new Promise<void>(resolve => {
    listener.on('connection', socket => {
      let open = 0
      socket.pause()
      socket.on('request', () => {
        open += 1
        if (open === 2) resolve()
      })
    })
  })
  return { kept, close: () => listener.close() }
}

describeFabrics('requests of a socket that renews itself', fabric => {
  test('asks again, in line with what is written, what no server has had', async () => {
    const { kept, close } = await stand(fabric)
    const { socket } = await connected(fabric)
    socket.write(1)
    const first = socket.request('a')
    socket.write(2)
    const open = Promise.allSettled([first, socket.request('b', { noThrow: true })])
    await kept
    const renewed = once(socket, 'renewed')
    const lost = disconnection(socket)
    close()
    await lost
    socket.write(3)
    const later = Promise.allSettled([socket.request('c')])
    const second = await serve(fabric, 'second')
    await renewed
    const [a, b, c] = [...(await open), ...(await later)]
    await socket.drain()
    // Those that had left may have been done, and are never repeated.
    expect(a).toMatchObject({ status: 'rejected', reason: { code: 'EPIPE' } })
    expect(b).toMatchObject({ status: 'fulfilled', value: undefined })
    expect(c).toMatchObject({ status: 'fulfilled', value: { data: 'second' } })
    expect(second.got).toEqual([1, 2, 3, 'c?'])
  })

  test('ends a request that its server may have done with the reason of the loss', async () => {
    const first = await serve(fabric, 'first')
    const { socket, renewals } = await connected(fabric)
    const server = await accepted(first)
    server.removeAllListeners('request').on('request', () => new Promise(() => {}))
    const had = once(server, 'request')
    const asked = Promise.allSettled([socket.request('had')])
    const several = Promise.allSettled([(async () => await socket.requestMany('had'))()])
    await had
    const renewed = once(socket, 'renewed')
    first.host.close()
    const outcomes = [...(await asked), ...(await several)]
    const [reason] = [(outcomes[0] as PromiseRejectedResult).reason.cause as FabricError]
    expect(['ERR_SOCKET_CLOSED_BY_PEER', 'ERR_SOCKET_LOST']).toContain(reason?.code)
    const failed = { status: 'rejected', reason: { code: 'EPIPE', cause: { code: reason.code } } }
    expect(outcomes).toMatchObject([failed, failed])
    expect((outcomes[0] as PromiseRejectedResult).reason.handled).toBeUndefined()
    await serve(fabric, 'second')
    await renewed
    expect(renewals.map(renewal => renewal.reason.code)).toEqual([reason.code])
  })

  test('ends a request whose time is over before there is a server', async () => {
    const first = await serve(fabric, 'first')
    const { socket } = await connected(fabric)
    const lost = disconnection(socket)
    first.listener.close()
    await lost
    const asked = socket.request('nobody', { timeout: 50 })
    await expect(asked).rejects.toMatchObject({ code: 408, handled: false })
    const controller = new AbortController()
    const aborted = socket.request('nobody', { signal: controller.signal })
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' })
    const answer = socket.request('somebody')
    await serve(fabric, 'second')
    expect((await answer).data).toBe('second')
  })
})

for (const kind of ['in-process', 'selvedge wire', 'nats', 'gateways'] as const) {
  describeFabric(kind, 'requests of a socket that renews itself, over drains', fabric => {
    test.each([1, 30])(
      'that are asked all the time, %i at once, are answered by one server or the next',
      async many => {
        let server = await serve(fabric, 'server0')
        const { socket } = await connected(fabric)
        const answered = new Set<unknown>()
        const failed: string[] = []
        let isOver = false
        const ask = async (): Promise<void> => {
          while (!isOver) {
            await socket.request('order').then(
              ({ data }) => answered.add(data),
              error => failed.push(`${error.code} ${error.handled}: ${error.message}`),
            )
          }
        }
        const asking = Array.from({ length: many }, ask)
        for (let n = 1; n <= 8; n++) {
          const next = await serve(fabric, `server${n}`)
          const renewed = once(socket, 'renewed')
          await server.host.drain({ deadline: 20_000, spread: 0 })
          await renewed
          await socket.request('order')
          server = next
        }
        isOver = true
        await Promise.all(asking)
        expect(failed).toEqual([])
        expect(answered.size).toBeGreaterThanOrEqual(8)
      },
      60_000,
    )
  })
}
