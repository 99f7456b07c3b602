// Programs that speak the protocol of sockets themselves, with publish and subscribe: other implementations, and taps.
import { once } from 'node:events'
import { describeFabrics } from '../support/fabrics'
import { read } from '../support/messages'
import { listening } from '../support/sockets'

describeFabrics('the protocol of sockets by hand', fabric => {
  test('shows the headers of sockets to whoever subscribes', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const headers = { 'CN-SocketCmd': 'ping', 'CN-SocketSeq': 4, mine: 1 }
    await client.publish('a', null, { headers })
    expect((await read(subscription, 1))[0]!.headers).toEqual(headers)
  })

  test('connects to a server with a request', async () => {
    const listener = await listening(fabric.client(), 'chat')
    const raw = fabric.client()
    await raw.subscribe('chat.client.raw')
    const connection = once(listener, 'connection')
    const headers = { 'CN-SocketCmd': 'connect', id: 'raw' }
    const answer = await raw.request(`chat.server.${listener.id}.raw`, null, { headers, timeout: 2000 })
    expect(answer.data).toBe('connected')
    expect((await connection)[0].id).toBe('raw')
  })
})
