// A socket that renews itself, at servers that leave as soon as it is there: the pauses grow, and whoever waits with a time
// of their own is told.
import type { ConatSocketServer, FabricError } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { listening } from '../support/sockets'

describeFabrics('renewals at servers that leave at once', fabric => {
  /** The least that four of them take: no pause before the first one, then half of 500 ms, 650 ms and 845 ms. */
  const LEAST = 997

  const leave: [string, (listener: ConatSocketServer) => unknown][] = [
    ['drain', listener => listener.drain({ deadline: 1000, spread: 0 })],
    ['end', listener => listener.end({ timeout: 1000 })],
    ['close', listener => listener.close()],
  ]

  test.each(leave)('%s: they do not follow each other without a pause', async (_, leaveWith) => {
    let ended = false
    function serve(): ConatSocketServer {
      const listener = fabric.client().socket.listen('orders')
      return listener.once('connection', () => {
        if (!ended) serve()
        void leaveWith(listener)
      })
    }
    await serve().waitUntilReady()
    const socket = fabric.client().socket.connect('orders', { renew: true })
    const begun = Date.now()
    const over: number[] = []
    const late = [
      rejection(socket.send('never handled', { timeout: 500 })),
      rejection(socket.drain({ timeout: 500 })),
      rejection(socket.request('?', { timeout: 500 })),
    ]
    const fifth = new Promise<void>((resolve, reject) => {
      socket.on('disconnected', () => {
        over.push(Date.now() - begun)
        if (over.length === 5) resolve()
      })
      socket.on('closed', (reason?: FabricError) => reject(reason))
    })
    for (const error of await Promise.all(late)) expect(error).toMatchObject({ code: 408 })
    await fifth
    expect(over[4]! - over[0]!).toBeGreaterThan(LEAST)
    ended = true
    socket.removeAllListeners('closed')
    socket.close()
  })

  test('a server that stays and closes each socket as it comes ends it', async () => {
    const listener = await listening(fabric.client(), 'orders')
    let count = 0
    listener.on('connection', socket => {
      count += 1
      socket.close()
    })
    const socket = fabric.client().socket.connect('orders', { renew: true })
    const reason = await new Promise<FabricError | undefined>(resolve => socket.once('closed', resolve))
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER' })
    expect(count).toBeLessThan(5)
  })
})
