// Whoever is refused hears why: the alert arrives, though the answer that it refuses came in the turn of the last write.
import { once } from 'node:events'
import nodeTls from 'node:tls'
import { over as netOver, sockets } from 'selvedge/net'
import { over } from 'selvedge/tls'
import { CA, material } from '../support/certificates'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { TRUSTED } from './parity'

/** Room for less than the server's first words: it hears that they are gone when their answer comes, or just before. */
const WINDOW = 1024
const TIMES = 5

describeFabrics('alerts of TLS', fabric => {
  test.each(
    (['TLSv1.2', 'TLSv1.3'] as const).flatMap(version =>
      (['its own', "one of Node's, served"] as const).map(kind => ({ version, kind })),
    ),
  )('a certificate is missing, $version: $kind', async ({ version, kind }) => {
    const [net, tls] = [netOver(fabric.client()), over(fabric.client())]
    const options = { ...material('server'), ca: CA, requestCert: true, rejectUnauthorized: true }
    const target = kind === 'its own' ? undefined : nodeTls.createServer(options)
    const server =
      target === undefined
        ? tls.createServer({ ...options, window: WINDOW }).listen('door')
        : net.serve('door', target as never, { window: WINDOW })
    await once(server, 'listening')
    const told: string[] = []
    for (let i = 0; i < TIMES; i++) {
      const socket = tls.connect('door', { ...TRUSTED, minVersion: version, maxVersion: version })
      const closed = new Promise(resolve => socket.once('close', resolve))
      socket
        .on('error', error => told.push(/alert [a-z ]+/.exec(error.message)?.[0] ?? error.message))
        .resume()
      // Something to say, which nobody reads.
      socket.write('hello')
      socket.once('secureConnect', () => socket.write(Buffer.alloc(100_000)))
      await closed
    }
    const alert = version === 'TLSv1.2' ? 'alert handshake failure' : 'alert certificate required'
    expect(told).toEqual(Array(TIMES).fill(alert))
    // Nothing of it is left behind on a server that goes on elsewhere.
    await new Promise<void>(resolve => void server.close(() => resolve()))
    expect(target?.listenerCount('secureConnection') ?? 0).toBe(0)
    await until(() => sockets().length === 0)
  })
})
