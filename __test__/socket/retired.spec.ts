// A listener that takes nobody any more, as a closed server of selvedge/net, and the next one of its client and id.
import { once } from 'node:events'
import type { Client, ConatSocketClient, ConatSocketServer } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { take } from '../support/sockets'

describeFabrics('a retired listener and the next one', fabric => {
  function listen(host: Client, name: string): ConatSocketServer {
    const listener = host.socket.listen('chat', { id: 'one' })
    listener.on('connection', socket => socket.on('data', data => socket.write(`${name} ${data}`)))
    return listener
  }

  async function answer(socket: ConatSocketClient, data: number): Promise<unknown> {
    const answered = take(socket, 1)
    socket.write(data)
    return (await answered)[0]
  }

  test('have what comes for their own sockets each', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const first = listen(host, 'first')
    await first.waitUntilReady()
    const older = guest.socket.connect('chat')
    expect(await answer(older, 0)).toBe('first 0')
    ;(first as unknown as { retire(): void }).retire()
    const second = listen(host, 'second')
    await second.waitUntilReady()
    const newer = guest.socket.connect('chat')
    for (const n of [1, 2, 3]) {
      expect([await answer(older, n), await answer(newer, n)]).toEqual([`first ${n}`, `second ${n}`])
    }
    older.close()
    const closed = once(first, 'closed')
    first.close()
    await closed
    expect(await answer(newer, 4)).toBe('second 4')
    expect(await answer(guest.socket.connect('chat'), 5)).toBe('second 5')
  })
})
