// A member of a service ends with a call in its hands: the caller is told, and does not wait for its whole timeout. One
// whose connection was only cut may still answer.
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { rejection } from '../support/messages'
import { endAll, Party, until } from './party'

interface Work {
  work(): string
}

let broker: ConatServer
let proxy: FaultProxy
let caller: Client

beforeEach(async () => {
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  proxy = await faultProxy({ target: broker.address()!.port, seed: 1 })
  caller = connect({ address: `http://127.0.0.1:${broker.address()!.port}`, noCache: true })
})

afterEach(async () => {
  await endAll()
  await caller.close()
  await proxy.close()
  await broker.close()
})

/** A member that has so many calls in its hands, whose timeout is longer than a test. */
async function asked(count: number): Promise<{ member: Party; calls: Promise<unknown>[] }> {
  const member = await Party.client({ address: proxy.address })
  await member.ask('serve', { subject: 'jobs' })
  const api = caller.call<Work>('jobs', { timeout: 600_000 })
  const calls = Array.from({ length: count }, () => api.work())
  for (const call of calls) call.catch(() => {})
  await until(
    () => member.ask('pending'),
    pending => pending === count,
    60_000,
  )
  return { member, calls }
}

test('a member that is killed: its calls fail with EPIPE, and others are served', async () => {
  const { member, calls } = await asked(3)
  await member.kill()
  for (const call of calls) {
    expect(await rejection(call)).toMatchObject({ code: 'EPIPE', message: /ended before it answered/ })
  }
  const next = await Party.client({ address: proxy.address })
  await next.ask('serve', { subject: 'jobs' })
  const call = caller.call<Work>('jobs').work()
  await until(
    () => next.ask('pending'),
    pending => pending === 1,
    60_000,
  )
  await next.ask('answer')
  expect(await call).toBe('done')
}, 120_000)

test('a call that is older than many that were answered: it is told, too', async () => {
  const { member, calls } = await asked(1)
  await member.ask('serveEcho', { subject: 'echo' })
  for (let n = 0; n < 10; n++) {
    await Promise.all(Array.from({ length: 50 }, (_, m) => caller.request('echo', m)))
  }
  await member.kill()
  expect(await rejection(calls[0]!)).toMatchObject({ code: 'EPIPE', message: /ended before it answered/ })
}, 120_000)

test('several answers of a member that is killed: the loop over them throws', async () => {
  const { member } = await asked(1)
  const answers = caller.requestMany('jobs', ['work'], { timeout: 600_000 })
  const loop = (async () => {
    for await (const _ of answers) {
      // There will be none.
    }
  })()
  const failed = rejection(loop)
  await until(
    () => member.ask('pending'),
    pending => pending === 2,
    60_000,
  )
  await member.kill()
  expect(await failed).toMatchObject({ code: 'EPIPE', message: /ended before it answered/ })
}, 120_000)

test('a member that closes its client without an answer: its calls fail', async () => {
  const { member, calls } = await asked(1)
  await member.ask('close')
  expect(await rejection(calls[0]!)).toMatchObject({ code: 'EPIPE' })
}, 120_000)

test('a member whose connection is cut answers when it is back', async () => {
  const { member, calls } = await asked(2)
  await proxy.cut()
  await until(
    () => member.ask('connections'),
    count => count === 2,
    60_000,
  )
  // Longer than one that does not come back is waited for.
  const early = await Promise.race([
    Promise.allSettled(calls),
    new Promise(resolve => setTimeout(resolve, 2500, 'open')),
  ])
  expect(early).toBe('open')
  await member.ask('answer')
  expect(await Promise.all(calls)).toEqual(['done', 'done'])
}, 120_000)
