// The thin layer above a client: services of one function, typed ones, and the time.
import { once } from 'node:events'
import {
  type Client,
  callConatService,
  createConatService,
  createServiceClient,
  createServiceHandler,
  createTimeService,
  getSkew,
  setConatClient,
  time,
  timeClient,
} from 'selvedge'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'

interface Kit {
  add(a: number, b: number): number
  concat(a: Buffer, b: Buffer): Buffer
  at(date: Date): Promise<Date>
  repeat(text: string, times: number): string
  fail(): never
}

const KIT: Kit = {
  add: (a, b) => a + b,
  concat: (a, b) => Buffer.concat([a, b]),
  at: async date => new Date(date.valueOf() + 1),
  repeat: (text, times) => text.repeat(times),
  fail() {
    throw Object.assign(Error('out of order'), { code: 410 })
  },
}

describeFabrics('a service of one function', fabric => {
  let client: Client
  let caller: Client

  beforeEach(() => {
    client = fabric.client()
    caller = fabric.client()
  })

  test('says when it runs, answers, and passes on what is thrown', async () => {
    const service = createConatService({
      client,
      service: 'echo',
      handler: mesg => {
        if (mesg === 'fail') throw Object.assign(Error('not today'), { code: 418 })
        return mesg.repeat(2)
      },
    })
    expect(service.state).toBe('starting')
    await once(service, 'running')
    expect(service.state).toBe('running')
    expect(await callConatService({ client: caller, service: 'echo', mesg: 'ab' })).toBe('abab')
    const failed = rejection(callConatService({ client: caller, service: 'echo', mesg: 'fail' }))
    expect(await failed).toMatchObject({ message: 'not today', code: 418 })
    service.close()
    expect(service.state).toBe('closed')
    // The broker learns of it over another connection.
    while (await caller.interest(service.subject));
    const gone = callConatService({ client: caller, service: 'echo', mesg: 'x', noRetry: true })
    expect((await rejection(gone)).code).toBe(503)
  })

  test('may come after its first call', async () => {
    const answer = callConatService({ client: caller, service: 'late', mesg: 20 })
    await caller.waitUntilReady()
    await using _ = createConatService({ client, service: 'late', handler: n => n + 1 })
    expect(await answer).toBe(21)
  })

  test('that does not come, or does not answer, is a timeout', async () => {
    const nobody = rejection(callConatService({ client: caller, service: 'nobody', mesg: 1, timeout: 50 }))
    expect(await nobody).toMatchObject({ code: 408, message: expect.stringContaining('timeout') })
    await using service = createConatService({
      client,
      service: 'slow',
      handler: () => new Promise(() => {}),
    })
    await once(service, 'running')
    const slow = rejection(callConatService({ client: caller, service: 'slow', mesg: 1, timeout: 50 }))
    expect(await slow).toMatchObject({ code: 408, message: expect.stringContaining('timeout') })
  })

  test('has a subject by its owner, or as given; calls are shared, or go to all', async () => {
    const handler = () => null
    const subjectOf = (name: object) => {
      const service = createConatService({ client, service: 's', handler, ...name })
      service.close()
      return service.subject
    }
    expect(subjectOf({})).toBe('services.hub.s')
    expect(subjectOf({ account_id: 'a' })).toBe('services.account-a._.s')
    expect(subjectOf({ account_id: 'a', browser_id: 'b' })).toBe('services.account-a.b.s')
    expect(subjectOf({ project_id: 'p', path: 'a b/c.txt' })).toMatch(/^services\.project-p\._\.s\.[\w-]+$/)
    expect(subjectOf({ subject: 'my.own' })).toBe('my.own')
    let calls = 0
    const count = () => (calls += 1)
    for (const all of [false, false, true, true]) {
      const service = createConatService({ client: fabric.client(), service: 'shared', handler: count, all })
      await once(service, 'running')
    }
    const { count: reached } = await caller.publish('services.hub.shared', null)
    fabric.expectCount(reached, 3)
  })

  test('uses the client that was set for all', async () => {
    for (const source of [client, { conat: () => client }, { conat: async () => client }]) {
      setConatClient(source)
      await using service = createConatService({ service: 'mine', handler: mesg => mesg })
      await once(service, 'running')
      expect(client.subs['services.hub.mine']).toBeDefined()
      expect(await callConatService({ service: 'mine', mesg: 1 })).toBe(1)
    }
    setConatClient(undefined)
  })

  test('of several methods carries numbers, bytes, dates, 10 MB, and what is thrown', async () => {
    const kit = createServiceClient<Kit>({ client: caller, service: 'kit' })
    expect(await kit.conat.ping()).toBe(false)
    const sum = kit.add(1, 2)
    await using service = await createServiceHandler<Kit>({ client, service: 'kit', impl: KIT })
    expect(service.state).toBe('running')
    await kit.conat.waitFor({ maxWait: 10_000 })
    expect(await sum).toBe(3)
    expect(await kit.concat(Buffer.from('a'), Buffer.from('b'))).toEqual(Buffer.from('ab'))
    expect(await kit.at(new Date(5))).toEqual(new Date(6))
    expect(await kit.repeat('x', 10_000_000)).toHaveLength(10_000_000)
    expect(await rejection(kit.fail())).toMatchObject({ message: 'out of order', code: 410 })
    const missing = createServiceClient<{ dance(): void }>({ client: caller, service: 'kit' })
    expect((await rejection(missing.dance())).message).toContain('dance not defined')
    // A call may also have its parts by name.
    const reply = await caller.request('services.hub.kit', { name: 'add', args: [2, 3] })
    expect(reply.data).toBe(5)
  })

  test('tells the time, and how far another clock is off', async () => {
    await using _ = await createTimeService({ client })
    const there = await timeClient({ client: caller }).time()
    expect(Math.abs(there - Date.now())).toBeLessThan(10_000)
    const skew = await getSkew({ client: caller })
    expect(Math.abs(skew)).toBeLessThan(10_000)
    expect(Math.abs(time({ noLoad: true }) - (Date.now() - skew))).toBeLessThan(1000)
  })

  test('measures again soon after that has failed', async () => {
    const now = Date.now.bind(Date)
    let ahead = 2 * 60 * 60 * 1000
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() + ahead)
    try {
      setConatClient(client)
      expect(await rejection(getSkew({ client: caller, timeout: 100 }))).toBeInstanceOf(Error)
      let asked = 0
      const impl = { time: () => (asked += 1) }
      await using _ = await createServiceHandler({
        client,
        service: 'time',
        subject: 'services.hub.time',
        impl,
      })
      ahead += 10_001
      time()
      time()
      await until(() => asked !== 0)
      // It is the same measurement, or a second one; then what is known holds for an hour.
      await getSkew({ client: caller })
      const before = asked
      ahead += 59 * 60 * 1000
      time()
      await timeClient({ client: caller }).time()
      expect(asked).toBe(before + 1)
    } finally {
      clock.mockRestore()
      setConatClient(undefined)
    }
  })
})
