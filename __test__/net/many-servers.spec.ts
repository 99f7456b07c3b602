// Many servers on one client are no leak to Node.js, which warns of more than ten listeners of one event.
import { once } from 'node:events'
import { init } from 'selvedge'
import { over } from 'selvedge/net'

test('20 servers have no more listeners on their client than one', async () => {
  const broker = init({ port: 0, host: '127.0.0.1' })
  const client = broker.client()
  const listeners = (): number[] => client.eventNames().map(name => client.listenerCount(name as never))
  const servers = Array.from({ length: 20 }, (_, n) => over(client).createServer().listen(`many.${n}`))
  await Promise.all(servers.map(server => once(server, 'listening')))
  expect(Math.max(0, ...listeners())).toBeLessThanOrEqual(1)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  await broker.close()
})
