// A request over a socket that no handler has had says so with `handled: false`, in a page as in Node.
import type { FabricError } from 'selvedge'
import { describeFabric } from '../support/fabrics'
import { closePages, pageClient } from './party'

afterEach(closePages)

/** What both kinds of sockets have. */
interface Asking {
  close(): void
  end(): Promise<void>
  request(data: unknown, options?: { timeout?: number; signal?: AbortSignal }): Promise<unknown>
}

const WAYS: Record<string, (socket: Asking) => Promise<unknown>> = {
  'over a socket that was closed': socket => {
    socket.close()
    return socket.request(1)
  },
  'over a socket that ends': socket => {
    socket.end().catch(() => {})
    return socket.request(1)
  },
  'with a signal that is aborted': socket => socket.request(1, { signal: AbortSignal.abort() }),
  'that is aborted while there is no server': socket => {
    const controller = new AbortController()
    const asked = socket.request(1, { signal: controller.signal })
    controller.abort()
    return asked
  },
  'whose time is over while there is no server': socket => socket.request(1, { timeout: 20 }),
  'that waits for a server when the socket is closed': socket => {
    const asked = socket.request(1)
    socket.close()
    return asked
  },
}

describeFabric('selvedge wire', 'a request that no handler has had', fabric => {
  test.each(Object.entries(WAYS))('%s', async (_, ask) => {
    const sockets: Asking[] = [
      fabric.client().socket.connect('nobody'),
      pageClient(fabric.remote.address as string).socket.connect('nobody'),
    ]
    const [native, page] = await Promise.all(
      sockets.map(async socket => {
        const error = (await ask(socket).catch(error => error)) as FabricError
        socket.close()
        return { code: error.code, handled: error.handled }
      }),
    )
    expect(native!.handled).toBe(false)
    expect(page).toEqual(native)
  })
})
