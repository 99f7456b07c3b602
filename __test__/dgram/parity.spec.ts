// The same programs over Node's own `dgram` and over ours: they see the same, in the same order.
import nodeDgram from 'node:dgram'
import { over } from 'selvedge/dgram'
import { sockets } from 'selvedge/net'
import { describeFabrics } from '../support/fabrics'
import { programs as firstPrograms } from './parity'
import { formPrograms } from './parity-forms'
import { morePrograms } from './parity-more'
import { nodePrograms } from './parity-node'
import type { Dgram, Program, Socket, Way } from './parity-program'

const programs: Readonly<Record<string, Program>> = {
  ...firstPrograms,
  ...morePrograms,
  ...nodePrograms,
  ...formPrograms,
}

const node: Way = {
  dgram: nodeDgram,
  free: () => [0, '127.0.0.1'],
  place: socket => [socket.address().port, '127.0.0.1'],
}

describeFabrics('datagrams as Node has them', fabric => {
  test.each(Object.keys(programs))('%s', async name => {
    const client = fabric.client()
    await client.waitUntilReady()
    const program = programs[name]!
    const ours: Way = {
      dgram: over(client) as unknown as Dgram,
      free: () => [],
      place: (socket: Socket) => [socket.address().address],
    }
    expect(await program(ours)).toEqual(await program(node))
    expect(sockets()).toEqual([])
  })
})
