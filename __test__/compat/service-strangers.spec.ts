// The service layer among programs that are wrong or mean harm: whoever calls hears of it, and nobody else does.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import {
  type Client,
  callConatService,
  createConatService,
  createServiceClient,
  createServiceHandler,
  createTimeService,
  FabricError,
  getSkew,
  messageData,
  setConatClient,
  time,
  timeClient,
} from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'

const ROOT = join(__dirname, '../..')

describeFabrics('a service among strangers', fabric => {
  let client: Client
  let caller: Client

  beforeEach(() => {
    client = fabric.client()
    caller = fabric.client()
  })

  test('that passes on the headers of a question does not ask itself in a circle', async () => {
    const seen: [isRequest: boolean, headers: unknown][] = []
    const subscription = await client.subscribe('circle')
    const heard = new Promise<void>(resolve => {
      subscription.emitter.on('message', message => {
        seen.push([message.isRequest(), message.headers])
        if (message.isRequest()) message.respondSync(null, { headers: message.headers })
        else resolve()
      })
    })
    await caller.publish('circle', null, { headers: { 'CN-Reply': 'circle', mine: 1 } })
    await heard
    expect(seen).toEqual([
      [true, { 'CN-Reply': 'circle', mine: 1 }],
      [false, expect.objectContaining({ mine: 1 })],
    ])
    expect(seen[1]![1]).not.toHaveProperty('CN-Reply')
  })

  test('whose answer cannot be sent tells its caller why', async () => {
    const host = fabric.client({ maxMessageBytes: 64 * 1024 })
    const throwing = () =>
      Object.defineProperty(messageData(1), 'headers', {
        get() {
          throw Error('not for you')
        },
      })
    const impl = { long: () => 'x'.repeat(100_000), throwing }
    await host.service('unsendable', impl)
    await using _ = await createServiceHandler({ client: host, service: 'unsendable', impl })
    const calls = [
      caller.call<typeof impl>('unsendable', { timeout: 20_000 }),
      createServiceClient<typeof impl>({ client: caller, service: 'unsendable', timeout: 20_000 }),
    ]
    for (const call of calls) {
      expect((await rejection(call.long())).code).toBe('ERR_TOO_LARGE')
      expect(await rejection(call.throwing())).toMatchObject({
        code: 'ERR_ENCODE',
        message: expect.stringContaining('not for you'),
      })
    }
  })

  test('whose answer finds no room says so as soon as there is some', async () => {
    await client.service('full', { get: () => 'much' })
    const respond = jest.spyOn(client as never as { respond(): Promise<never> }, 'respond')
    const full = new FabricError('full', 'ENOBUFS')
    respond.mockRejectedValueOnce(full).mockRejectedValueOnce(full).mockRejectedValueOnce(full)
    expect((await rejection(caller.call('full', { timeout: 20_000 }).get())).code).toBe('ENOBUFS')
    expect(respond).toHaveBeenCalledTimes(4)
  })

  test('that throws an error with an odd code still tells a code', async () => {
    const codes = ['', 'x'.repeat(1_000_000), Number.NaN, {}, null]
    await client.service('odd', {
      fail(index: number) {
        throw Object.assign(Error('odd'), { code: codes[index] })
      },
    })
    const told: unknown[] = []
    for (const index of codes.keys()) {
      const { code } = await rejection(caller.call('odd', { timeout: 20_000 }).fail(index))
      told.push(code)
    }
    expect(told).toEqual(['ERR_SERVICE', 'x'.repeat(1000), 'ERR_SERVICE', 'ERR_SERVICE', 'ERR_SERVICE'])
  })

  test('leaves nothing at its client, of which it may be one of many', async () => {
    const warnings: unknown[] = []
    const warn = (warning: unknown) => warnings.push(warning)
    process.on('warning', warn)
    const before = client.eventNames().map(name => client.listenerCount(name))
    const services = Array.from({ length: 30 }, (_, n) =>
      createConatService({ client, service: `many-${n}`, handler: () => n }),
    )
    await Promise.all(services.map(service => service.running))
    const closed = services.map(service => once(service, 'closed'))
    for (const service of services) service.close()
    await Promise.all(closed)
    expect(client.eventNames().map(name => client.listenerCount(name))).toEqual(before)
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })

  test('emits `closed` after the call that closes it, and when its client closes', async () => {
    const service = createConatService({ client, service: 'closing', handler: () => 1 })
    await service.running
    const events: string[] = []
    service.on('closed', () => events.push('closed'))
    service.close()
    events.push('called')
    await once(service, 'closed')
    expect(events).toEqual(['called', 'closed'])

    const other = createConatService({ client, service: 'with-client', handler: () => 1 })
    await other.running
    const closed = once(other, 'closed')
    await client.close()
    await closed
    expect(other.state).toBe('closed')
  })

  test('answers what it is working on when its client drains', async () => {
    let finish: (value: string) => void = () => {}
    const begun = new Promise<void>(resolve => {
      createConatService({
        client,
        service: 'working',
        handler: () => {
          resolve()
          return new Promise(done => {
            finish = done
          })
        },
      })
    })
    const answer = callConatService({ client: caller, service: 'working', mesg: 1 })
    await begun
    const drained = client.drain({ spread: 0 })
    // Nobody is left in the group once the drain has begun at the broker.
    while (await caller.interest('services.hub.working'));
    finish('done')
    expect(await answer).toBe('done')
    await drained
  })

  test('is not believed when it tells a time that is none', async () => {
    let told: unknown
    const impl = { time: () => told }
    await using _ = await createServiceHandler({
      client,
      service: 'time',
      subject: 'services.hub.time',
      impl,
    })
    for (told of ['soon', null, Number.NaN, Number.POSITIVE_INFINITY, 1e300, {}, new Date(0)]) {
      expect(await rejection(getSkew({ client: caller }))).toMatchObject({
        code: 'ERR_SERVICE',
        message: expect.stringContaining('no time'),
      })
      expect(Math.abs(time({ noLoad: true }) - Date.now())).toBeLessThan(24 * 60 * 60 * 1000)
    }
  })
})

describe('the arguments of services', () => {
  const handler = () => null
  const codeOf = async (call: () => unknown): Promise<unknown> => {
    try {
      await call()
    } catch (error) {
      return (error as FabricError).code
    }
    return undefined
  }

  test('are refused with a code if they name no service, or one of several tokens', async () => {
    const names = [
      { service: 'a.b' },
      { service: '' },
      { service: '*' },
      { service: 's', account_id: 'a.b' },
      { service: 's', account_id: '' },
      { service: 's', account_id: 'a', browser_id: '>' },
      { service: 's', project_id: 'p._.other' },
      { service: 's', project_id: 'p', compute_server_id: '0.x' },
      { subject: 'a.*' },
    ]
    for (const name of names) {
      expect([name, await codeOf(() => createConatService({ ...name, handler }))]).toEqual([
        name,
        'ERR_INVALID_SUBJECT',
      ])
      expect(await codeOf(() => createServiceClient(name))).toBe('ERR_INVALID_SUBJECT')
    }
    const none = [undefined, null, 5, 's', {}, { service: 5 }, { service: 's', project_id: 'p', path: 5 }]
    for (const name of none as never[]) {
      expect(await codeOf(() => callConatService(name))).toBe('ERR_INVALID_ARG_TYPE')
      expect(await codeOf(() => createServiceClient(name))).toBe('ERR_INVALID_ARG_TYPE')
      expect(await codeOf(() => createConatService(name))).toBe('ERR_INVALID_ARG_TYPE')
      expect(await codeOf(() => createServiceHandler(name))).toBe('ERR_INVALID_ARG_TYPE')
    }
  })

  test('of the time are refused with a code if their options are none', async () => {
    for (const options of [null, 5, 'x', true] as never[]) {
      expect(await codeOf(() => createTimeService(options))).toBe('ERR_INVALID_ARG_TYPE')
      expect(await codeOf(() => timeClient(options))).toBe('ERR_INVALID_ARG_TYPE')
      expect(await codeOf(() => getSkew(options))).toBe('ERR_INVALID_ARG_TYPE')
    }
    expect(await codeOf(() => createTimeService({ client: 5 } as never))).toBe('ERR_INVALID_ARG_TYPE')
  })

  test('are refused with a code if they name a client that is none', async () => {
    const wrong = [null, 5, {}, () => {}, { conat: 5 }] as never[]
    for (const client of wrong) {
      const service = 's'
      expect(await codeOf(() => callConatService({ client, service, mesg: 1 }))).toBe('ERR_INVALID_ARG_TYPE')
      const running = () => createConatService({ client, service, handler }).running
      expect(await codeOf(running)).toBe('ERR_INVALID_ARG_TYPE')
      expect(await codeOf(() => setConatClient(client))).toBe('ERR_INVALID_ARG_TYPE')
    }
    try {
      for (const made of [null, undefined, 5, {}] as never[]) {
        setConatClient({ conat: () => made })
        expect(await codeOf(() => callConatService({ service: 's', mesg: 1 }))).toBe('ERR_INVALID_ARG_TYPE')
      }
    } finally {
      setConatClient(undefined)
    }
  })
})

test('what a listener of a service throws when it runs is an uncaught exception, and no failure of the service', () => {
  const program = `
    const { callConatService, createConatService, init } = require('selvedge')
    process.on('uncaughtException', error => console.log('uncaught', error.message))
    const client = init({ port: null }).client()
    const service = createConatService({ client, service: 'told', handler: () => 'answer' })
    service.on('running', () => { throw Error('of a listener') })
    service.running
      .then(() => callConatService({ client, service: 'told', mesg: 1 }))
      .then(answer => console.log(answer), error => console.log('failed', error.message))
      .then(() => process.exit())
  `
  const { stdout } = spawnSync(process.execPath, ['-e', program], { cwd: ROOT, encoding: 'utf8' })
  expect(stdout.split('\n')).toEqual(['uncaught of a listener', 'answer', ''])
})
