// The same programs over Node's own `net` and over ours: each end sees the same events in the same order.
import { once } from 'node:events'
import nodeNet from 'node:net'
import { over, sockets } from 'selvedge/net'
import { until } from '../support/events'
import { describeTransports } from '../support/fabrics'
import { programs as firstPrograms } from './parity'
import { morePrograms } from './parity-more'
import type { Net, Way } from './parity-program'

const programs = { ...firstPrograms, ...morePrograms }

const node: Way = {
  net: nodeNet,
  listen: async server => void (await once(server.listen(0, '127.0.0.1'), 'listening')),
  place: server => ({ port: (server.address() as nodeNet.AddressInfo).port, host: '127.0.0.1' }),
  // The port of a TCP service that nobody runs.
  nowhere: { port: 1, host: '127.0.0.1' },
}

describeTransports('as Node does', fabric => {
  test.each(Object.keys(programs))('%s', async name => {
    const program = programs[name]!
    const ours: Way = {
      net: over(fabric.client()) as unknown as Net,
      listen: async server => void (await once(server.listen(), 'listening')),
      place: server => server.address() as unknown as nodeNet.NetConnectOpts,
      nowhere: { subject: 'nobody.here' } as unknown as nodeNet.NetConnectOpts,
    }
    const seen = await program(ours)
    expect(seen).toEqual(await program(node))
    // Nothing stays behind: what a close has left under way is done with, too.
    await until(() => sockets().length === 0)
  })
})
