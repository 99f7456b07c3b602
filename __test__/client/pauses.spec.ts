// Times that may be 0, and never less.
import { init } from 'selvedge'
import { connect } from 'selvedge/browser'

test('that are negative are refused', async () => {
  const broker = init({ port: null })
  const client = broker.client()
  const listener = client.socket.listen('a')
  const calls: Record<string, () => unknown> = {
    leaveDelay: () => client.socket.listen('b', { rooms: { leaveDelay: -1 } }),
    'spread of a server': () => listener.drain({ spread: -1 }),
    'spread of a broker': () => broker.drain({ spread: -1 }),
    'offlineTimeout of a page': () => connect({ address: 'http://127.0.0.1:1', offlineTimeout: -1 }),
    offlineTimeout: () => broker.client({ offlineTimeout: -1 }),
  }
  for (const [name, call] of Object.entries(calls)) {
    const outcome = await (async () => await call())().catch(error => error.code)
    expect([name, outcome]).toEqual([name, 'ERR_OUT_OF_RANGE'])
  }
  await client.close()
  await broker.close()
})
