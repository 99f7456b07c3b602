// The same programs over Node's own `tls` and over ours: each end sees the same events in the same order.
import { once } from 'node:events'
import nodeNet, { type AddressInfo } from 'node:net'
import nodeTls from 'node:tls'
import { over as netOver, sockets } from 'selvedge/net'
import { over } from 'selvedge/tls'
import { until } from '../support/events'
import { describeFabric } from '../support/fabrics'
import { programs as firstPrograms, type Tls, type Way } from './parity'
import { morePrograms } from './parity-more'
import { nodePrograms } from './parity-node'

const programs = { ...firstPrograms, ...nodePrograms, ...morePrograms }

const portOf = (server: nodeTls.Server): number => (server.address() as AddressInfo).port

const node: Way = {
  tls: nodeTls,
  net: nodeNet,
  listen: async server => void (await once(server.listen(0, '127.0.0.1'), 'listening')),
  place: server => ({ port: portOf(server), host: '127.0.0.1' }),
  nowhere: { port: 1, host: '127.0.0.1' },
  plain: server => nodeNet.connect(portOf(server), '127.0.0.1'),
}

for (const kind of ['selvedge wire', 'nats', 'gateways'] as const)
  describeFabric(kind, 'TLS as Node has it', fabric => {
    test.each(Object.keys(programs))('%s', async name => {
      const client = fabric.client()
      const ours: Way = {
        tls: over(client) as unknown as Tls,
        net: netOver(client) as unknown as Way['net'],
        listen: async server => void (await once(server.listen(), 'listening')),
        place: server => server.address() as unknown as object,
        nowhere: { subject: 'nobody.here' },
        plain: server => netOver(client).connect((server as unknown as { subject: string }).subject),
      }
      const program = programs[name]!
      expect(await program(ours)).toEqual(await program(node))
      await until(() => sockets().length === 0)
    })
  })
