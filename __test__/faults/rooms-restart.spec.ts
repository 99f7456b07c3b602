// A server of rooms whose process is killed and comes back at once under the same id.
import { once } from 'node:events'
import { connect } from 'selvedge'
import { endAll, Party, WIRES } from './party'

afterEach(endAll)

test.each(WIRES)(
  'over %s: its members are gone for the others as those of a lost server, before the next ones come',
  async wire => {
    const broker = await Party.broker()
    const options = { address: `http://127.0.0.1:${broker.port}`, wire, noCache: true }
    const back = { subject: 'chat', room: 'lobby', options: { id: 'back' } }
    const client = connect(options)
    try {
      const listener = client.socket.listen('chat', { id: 'stays' })
      await listener.waitUntilReady()
      const seen: unknown[][] = []
      const lobby = listener.room('lobby')
      lobby.on('join', ({ key }) => seen.push(['join', key]))
      lobby.on('leave', ({ key }, reason) => seen.push(['leave', key, reason]))
      const lost = once(listener, 'peerLost')
      const pids: number[] = []
      let before: Party | undefined
      for (let n = 0; n < 2; n++) {
        // A process takes a second to start: the next one is there before the other is killed.
        const server = await Party.client(options)
        pids.push(server.pid)
        await before?.kill()
        await server.ask('listen', back)
        const joined = once(lobby, 'join')
        client.socket.connect('chat', { loadBalancer: () => 'back' })
        expect(await joined).toMatchObject([{ key: `of ${server.pid}` }])
        before = server
      }
      expect(seen).toEqual([
        ['join', `of ${pids[0]}`],
        ['leave', `of ${pids[0]}`, 'server-lost'],
        ['join', `of ${pids[1]}`],
      ])
      expect(await lost).toEqual([{ id: 'back', undelivered: 0 }])
    } finally {
      await client.close()
    }
  },
  60_000,
)
