// Requests to a server that refuses the socket, and how long others are waited for.
import type { Client, ConatSocketClient, FabricError } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { pair } from '../support/sockets'

describeFabrics('a request to a server that refuses its socket', fabric => {
  test.each([false, true])(
    'says whether no handler has had it (a handler in the middleware: %s)',
    async has => {
      const listener = fabric.client().socket.listen('chat')
      let hasCome = (): void => {}
      const come = new Promise<void>(resolve => {
        hasCome = resolve
      })
      listener.use(async socket => {
        if (has) {
          socket.on('request', () => hasCome())
          await come
        }
        throw new Error('not you')
      })
      await listener.waitUntilReady()
      const error = (await rejection(fabric.client().socket.connect('chat').request(1))) as FabricError
      expect([error.code, error.cause, error.handled]).toEqual([
        'EPIPE',
        expect.objectContaining({ code: 403, message: 'not you' }),
        has ? undefined : false,
      ])
    },
  )
})

describeFabrics('who waits in vain', fabric => {
  test('is told for which socket', async () => {
    const listener = fabric.client().socket.listen('chat')
    listener.on('connection', socket => {
      socket.pause()
      socket.on('request', () => {})
    })
    await listener.waitUntilReady()
    const socket = fabric.client().socket.connect('chat')
    const waits = [socket.request(1, { timeout: 300 }), socket.send(1, { timeout: 300 })].map(rejection)
    for (const error of await Promise.all(waits)) {
      expect(error).toMatchObject({ code: 408, message: expect.stringContaining("socket client 'chat' (id") })
    }
  })
})

describeFabrics('a request over a socket that nobody serves', fabric => {
  const ENDS: Record<string, [(socket: ConatSocketClient, client: Client) => unknown, number | string]> = {
    'a close': [socket => socket.close(), 'EPIPE'],
    'an end': [socket => socket.end({ timeout: 50 }).catch(() => {}), 'EPIPE'],
    'the close of the client': [(_socket, client) => client.close(), 'EPIPE'],
    'its signal': [() => {}, 'ABORT_ERR'],
    'its timeout': [() => {}, 408],
  }

  test.each(Object.entries(ENDS))('was not handled when it ends by %s', async (how, [end, code]) => {
    const client = fabric.client()
    const socket = client.socket.connect('nobody')
    const bound = how === 'its signal' ? { signal: AbortSignal.timeout(50) } : {}
    const asked = rejection(socket.request('?', how === 'its timeout' ? { timeout: 50 } : bound))
    await end(socket, client)
    expect(await asked).toMatchObject({ code, handled: false })
  })

  test('was not handled if its signal was aborted before', async () => {
    const { socket } = await pair(fabric)
    const asked = socket.request('?', { signal: AbortSignal.abort() })
    await expect(asked).rejects.toMatchObject({ code: 'ABORT_ERR', handled: false })
  })
})
