// The same calls and the same ends over Node's own `net` and over ours, beside the programs of parity.spec.ts.
import { once } from 'node:events'
import nodeNet from 'node:net'
import { over, sockets } from 'selvedge/net'
import { until } from '../support/events'
import { describeFabric } from '../support/fabrics'
import { callPrograms } from './parity-calls'
import { endingPrograms } from './parity-ends'
import { nodePrograms } from './parity-node'
import type { Net, Way } from './parity-program'
import { serverPrograms } from './parity-servers'
import { statePrograms } from './parity-states'
import { streamPrograms } from './parity-streams'

const programs = {
  ...callPrograms,
  ...serverPrograms,
  ...statePrograms,
  ...streamPrograms,
  ...nodePrograms,
}

const node: Way = {
  net: nodeNet,
  listen: async server => void (await once(server.listen(0, '127.0.0.1'), 'listening')),
  place: server => ({ port: (server.address() as nodeNet.AddressInfo).port, host: '127.0.0.1' }),
  nowhere: { port: 1, host: '127.0.0.1' },
}

for (const kind of ['in-process', 'selvedge wire', 'nats', 'gateways'] as const) {
  describeFabric(kind, 'as Node does', fabric => {
    const ours = (): Way => ({
      net: over(fabric.client()) as unknown as Net,
      listen: async server => void (await once(server.listen(), 'listening')),
      place: server => server.address() as unknown as nodeNet.NetConnectOpts,
      nowhere: { subject: 'nobody.here' } as unknown as nodeNet.NetConnectOpts,
    })
    afterEach(async () => {
      await until(() => sockets().length === 0)
    })

    test.each(Object.keys(programs))('%s', async name => {
      const program = programs[name]!
      expect(await program(ours())).toEqual(await program(node))
    })

    test('every way to end, and every answer to it', async () => {
      const way = ours()
      const all = async (where: Way) => {
        const seen: Record<string, unknown> = {}
        const left = Object.entries(endingPrograms)
        // Some at a time: a client has so many subscriptions.
        while (left.length > 0) {
          await Promise.all(
            left.splice(0, 28).map(async ([name, program]) => {
              seen[name] = await program(where)
            }),
          )
        }
        return seen
      }
      expect(await all(way)).toEqual(await all(node))
    })
  })
}
