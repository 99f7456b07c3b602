import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A TCP port for a program that cannot choose one by itself: below those that the system gives to connections, one of which
 * would soon be taken again.
 */
export async function freePort() {
  for (;;) {
    const server = createServer().listen(randomInt(15_000, 32_000), '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    const { port } = server.address()
    server.close()
    await once(server, 'close')
    return port
  }
}
