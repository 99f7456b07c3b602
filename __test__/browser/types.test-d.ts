// One program for both: what waits in a page takes `timeout` and `signal` as in the main module, and headers go into options.
import type * as main from 'selvedge'
import type * as page from 'selvedge/browser'

export async function waits(
  client: main.Client | page.Client,
  socket: main.ConatSocketClient | page.ClientSocket,
  signal: AbortSignal,
): Promise<void> {
  const bounds = { timeout: 500, signal }
  await client.waitUntilReady(bounds)
  await client.waitUntilConnected(bounds)
  await client.waitUntilSignedIn(bounds)
  const subscription = await client.subscribe('a', bounds)
  subscription.close()
  await client.publish('a', 1, { ...bounds, waitForInterest: true })
  await client.request('a', 1, bounds)
  const isThere: boolean = await client.interest('a', { signal })
  const isNow: boolean = await client.waitForInterest('a', bounds)
  const { state } = client.socket.connect('a', bounds)
  await socket.send('x', { headers: { n: 1 }, ...bounds })
  await socket.request('x', { headers: { n: 1 }, ...bounds })
  await socket.drain(bounds)
  await socket.waitUntilDrain(bounds)
  await socket.waitUntilWritable(bounds)
  await socket.waitUntilReady(bounds)
  await socket.waitUntilReady(500)
  await socket.end({ idle: 100, ...bounds })
  // @ts-expect-error headers go into { headers }
  await socket.send('x', { n: 1 })
  // @ts-expect-error whether somebody listens is told at once
  await client.interest('a', { timeout: 500 })
  // @ts-expect-error what is sent is not volatile
  await socket.send('x', { volatile: true })
  // @ts-expect-error no signal
  await socket.drain({ signal: 'now' })
  void [isThere, isNow, state]
}
