// Services of ours called by theirs, and the other way round, on brokers of both kinds.
import { once } from 'node:events'
import { Client } from '../../lib'
import { type RunningBroker, startBroker } from './parties'
import { Client as PeerClient } from './peers/client'
import { call, serve } from './peers/service'

const implementation = {
  add: (a: number, b: number) => a + b,
  where(this: { subject: string }) {
    return this.subject
  },
  fail() {
    throw Object.assign(new Error('not yours'), { code: 403 })
  },
}

describe.each(['ours', 'theirs'] as const)('on a broker of %s', kind => {
  let broker: RunningBroker
  let ours: Client
  let theirs: PeerClient

  beforeEach(async () => {
    broker = await startBroker(kind)
    ours = new Client({ address: broker.address, reconnectionDelay: 20, reconnectionDelayMax: 50 })
    theirs = new PeerClient(broker.address)
    await Promise.all([ours.waitUntilReady(), theirs.untilReady()])
  })

  afterEach(async () => {
    theirs.close()
    await ours.close()
    await broker.close()
  })

  test('their call reaches our service: results, errors with codes, missing methods', async () => {
    await ours.service('math.*', implementation)
    expect(await call(theirs, 'math.x', 'add', [1, 2])).toBe(3)
    expect(await call(theirs, 'math.x', 'where', [])).toBe('math.x')
    await expect(call(theirs, 'math.x', 'fail', [])).rejects.toMatchObject({
      message: expect.stringContaining('not yours'),
      code: 403,
    })
    await expect(call(theirs, 'math.x', 'dance', [])).rejects.toThrow('dance not defined')
  })

  test('our call reaches their service: results, errors with codes, missing methods', async () => {
    await serve(theirs, 'math.*', implementation)
    const math = ours.call<typeof implementation & { dance(): void }>('math.x')
    expect(await math.add(1, 2)).toBe(3)
    expect(await math.where()).toBe('math.x')
    await expect(math.fail()).rejects.toMatchObject({
      message: expect.stringContaining('not yours'),
      code: 403,
    })
    await expect(math.dance()).rejects.toThrow('dance not defined')
  })

  test('our callMany gathers services of both kinds', async () => {
    await serve(theirs, 'who', { am: () => 'theirs' })
    await ours.service('who', { am: () => 'ours' }, { queue: 'another' })
    const answers: unknown[] = []
    for await (const one of ours.callMany('who', { maxMessages: 2 }).am()) answers.push(one)
    expect(answers.sort()).toEqual(['ours', 'theirs'])
  })

  test('a service outlives a restart of the broker, on both sides', async () => {
    await ours.service('mine', { echo: (x: unknown) => x })
    await serve(theirs, 'yours', { echo: (x: unknown) => x })
    const back = Promise.all([once(ours, 'inbox'), once(theirs, 'ready')])
    await broker.restart()
    await back
    expect(await call(theirs, 'mine', 'echo', ['a'], { waitForInterest: true })).toBe('a')
    expect(await ours.call('yours', { waitForInterest: true }).echo('b')).toBe('b')
  })
})
