// How long a subscription that was made without waiting waits for the broker, and what those say that wait in vain.
import { connect } from 'selvedge'
import { connect as connectPage } from 'selvedge/browser'
import { rejection } from '../support/messages'

const closing: { close(): Promise<void> | void }[] = []
afterEach(async () => {
  for (const client of closing.splice(0)) await client.close()
})

function kept<T extends { close(): Promise<void> | void }>(client: T): T {
  closing.push(client)
  return client
}

/** A WebSocket that never opens. */
class Silent {
  close(): void {}
  send(): void {}
}

const unreachable = {
  selvedge: () => kept(connect({ address: 'http://127.0.0.1:1', noCache: true })),
  'selvedge/browser': () => kept(connectPage({ address: 'http://127.0.0.1:1', WebSocket: Silent as never })),
}

describe.each(['selvedge', 'selvedge/browser'] as const)('subscribeSync of %s', name => {
  async function loop(options: object): Promise<unknown> {
    const subscription = unreachable[name]().subscribeSync('a', options)
    return await rejection(
      (async () => {
        for await (const _ of subscription) break
      })(),
    )
  }

  test('gives its loop 408 after its timeout', async () => {
    expect(await loop({ timeout: 20 })).toMatchObject({ code: 408, message: expect.stringContaining("'a'") })
  })

  test('ends with its signal', async () => {
    expect(await loop({ signal: AbortSignal.timeout(20) })).toMatchObject({ code: 'ABORT_ERR' })
    expect(() => unreachable[name]().subscribeSync('a', { signal: AbortSignal.abort() })).toThrow(
      expect.objectContaining({ code: 'ABORT_ERR' }),
    )
  })
})

test('a client that was never told to connect says so', async () => {
  const client = kept(connect({ autoConnect: false, noCache: true }))
  expect(await rejection(client.waitUntilReady({ timeout: 10 }))).toMatchObject({
    code: 408,
    message: expect.stringContaining('connect() was not called'),
  })
})

test('what waits when its client is closed says what was closed', async () => {
  const client = unreachable.selvedge()
  const waiting = [client.waitForInterest('a'), client.socket.connect('b').request(1)].map(rejection)
  await client.close()
  expect((await Promise.all(waiting)).map(({ code, message }: any) => [code, message])).toEqual([
    ['ERR_CLOSED', 'closed: the client'],
    ['EPIPE', expect.stringMatching(/^closed: socket client 'b' \(id/)],
  ])
})
