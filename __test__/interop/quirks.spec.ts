// What brokers and clients of the original's kind do and ours must live with: late answers, refusals, small chunks, haste.
import { EventEmitter, once } from 'node:events'
import { Client, DataEncoding, init } from '../../lib'
import { disconnection } from '../support/sockets'
import { Broker, type BrokerOptions } from './peers/broker'
import { Client as PeerClient } from './peers/client'
import { SocketClient } from './peers/socket-client'

describe('our client on a broker of the original', () => {
  let broker: Broker
  let client: Client
  const open = async (options?: BrokerOptions) => {
    broker = await Broker.listen(options)
    client = new Client({
      address: `http://127.0.0.1:${broker.port}`,
      reconnectionDelay: 20,
      reconnectionDelayMax: 50,
    })
  }
  afterEach(async () => {
    await client.close()
    await broker.close()
  })

  test('acknowledges info, and subscribes again after the connection was lost', async () => {
    await open()
    const subscription = await client.subscribe('a.*')
    broker.cut()
    await once(client, 'inbox')
    expect(broker.infos).toBe(2)
    expect(await client.publish('a.b', 'hi')).toEqual({ bytes: 3, count: 1 })
    expect((await subscription.next()).value?.data).toBe('hi')
  })

  test('is called what Socket.IO calls it', async () => {
    await open()
    await client.waitUntilReady()
    expect(broker.ids()).toEqual([client.conn.id])
  })

  test('a refused sign-in fails those who wait for it', async () => {
    await open({ maxConnections: 0 })
    await expect(client.waitUntilSignedIn()).rejects.toThrow('failed to sign in')
  })

  test('what is not permitted rejects with 403, and is remembered', async () => {
    await open({ isAllowed: (_, subject) => !subject.startsWith('secret') })
    await client.waitUntilReady()
    const refused = once(client, 'permission')
    const denied = { code: 403, message: expect.stringContaining('permission denied publishing to') }
    await expect(client.publish('secret.a', 1)).rejects.toMatchObject(denied)
    expect(await refused).toEqual([expect.objectContaining({ subject: 'secret.a', type: 'pub' })])
    await expect(client.publish('secret.a', 1)).rejects.toMatchObject({ code: 403 })
    await expect(client.subscribe('secret.>')).rejects.toMatchObject({
      code: 403,
      message: expect.stringMatching(/^permission denied subscribing to/),
    })
    await expect(client.interest('secret.a')).rejects.toMatchObject({ code: 403 })
  })

  test('the subscription over the limit rejects with 429', async () => {
    // One is the inbox.
    await open({ maxSubscriptions: 2 })
    await client.subscribe('a')
    const limit = {
      code: 429,
      message: expect.stringContaining('there is a limit of at most 2 subscriptions'),
    }
    await expect(client.subscribe('b')).rejects.toMatchObject(limit)
  })

  test('a wait for interest gives up in time although the broker says so late', async () => {
    await open()
    await client.waitUntilReady()
    await expect(client.waitForInterest('nobody', { timeout: 100 })).rejects.toMatchObject({
      code: 408,
      message: expect.stringContaining('timeout'),
    })
    expect(broker.lateAnswers).toBe(0)
    expect(await client.interest('nobody')).toBe(false)
    await expect(client.request('nobody', 1)).rejects.toMatchObject({ code: 503 })
  })
})

describe.each(['ours', 'theirs'] as const)('%s broker, with our client and theirs', kind => {
  let address: string
  let close: () => Promise<void>
  let ours: Client
  let theirs: PeerClient

  beforeEach(async () => {
    if (kind === 'ours') {
      const server = init({ port: 0, host: '127.0.0.1' })
      await server.waitUntilReady()
      address = `http://127.0.0.1:${server.address()!.port}`
      close = () => server.close()
    } else {
      const server = await Broker.listen()
      address = `http://127.0.0.1:${server.port}`
      close = () => server.close()
    }
    ours = new Client({ address, reconnectionDelay: 20, reconnectionDelayMax: 50 })
    theirs = new PeerClient(address, { chunkSize: 1000 })
    await Promise.all([ours.waitUntilReady(), theirs.untilReady()])
  })

  afterEach(async () => {
    theirs.close()
    await ours.close()
    await close()
  })

  test('requests both ways, with every kind of value', async () => {
    const values = [
      null,
      true,
      -1,
      2 ** 40,
      0.5,
      'é',
      [1, [2]],
      { a: { b: null } },
      new Date(1e12),
      Buffer.from('x'),
    ]
    const subscription = await ours.subscribe('echo.ours')
    subscription.emitter.on('message', message => message.respondSync(message.data, { headers: { ok: 1 } }))
    const answers: Promise<unknown>[] = []
    const echo = theirs.subscribe('echo.theirs', message => answers.push(message.respond(message.data)))
    await echo.confirmed
    for (const value of values) {
      const theirAnswer = await theirs.request('echo.ours', value)
      expect(Buffer.isBuffer(value) ? Buffer.from(theirAnswer.data) : theirAnswer.data).toEqual(value)
      expect(theirAnswer.headers).toEqual({ ok: 1 })
      expect((await ours.request('echo.theirs', value)).data).toEqual(value)
    }
    const json = await ours.request('echo.theirs', { a: [1] }, { encoding: DataEncoding.JsonCodec })
    expect(json.data).toEqual({ a: [1] })
    await Promise.all(answers)
  })

  test('a message in hundreds of small chunks arrives whole, with its headers', async () => {
    const subscription = await ours.subscribe('big')
    const big = Buffer.alloc(300_000, 'weft')
    expect(await theirs.publish('big', big, { headers: { my: 'header' } })).toEqual({ count: 1 })
    const { value: message } = await subscription.next()
    expect(big.equals(message!.data as Buffer)).toBe(true)
    expect(message!.headers).toEqual({ my: 'header' })
  })

  test('the absence of headers, null and an empty object stay apart', async () => {
    const subscription = await ours.subscribe('headers')
    const seen: unknown[] = []
    const arrived = new EventEmitter()
    const theirSubscription = theirs.subscribe('headers', message => {
      seen.push(message.headers)
      arrived.emit('message')
    })
    await theirSubscription.confirmed
    for (const headers of [undefined, null, {}, { a: [1, { b: null }], 'CN-Reply2': 'x' }]) {
      await theirs.publish('headers', 1, { headers })
      expect((await subscription.next()).value!.headers).toEqual(headers)
      const next = once(arrived, 'message')
      await ours.publish('headers', 1, { headers })
      await subscription.next()
      if (seen.length < 2) await next
      expect(seen.splice(0)).toEqual([headers, headers])
    }
  })

  test('members of a queue share, whoever they are', async () => {
    const counts = [0, 0]
    const arrived = new EventEmitter()
    const count = (member: 0 | 1) => {
      counts[member]!++
      arrived.emit('message')
    }
    const subscription = await ours.subscribe('work', { queue: 'q' })
    subscription.emitter.on('message', () => count(0))
    await theirs.subscribe('work', () => count(1), 'q').confirmed
    for (let i = 0; i < 60; i++) expect(await ours.publish('work', i)).toMatchObject({ count: 1 })
    while (counts[0]! + counts[1]! < 60) await once(arrived, 'message')
    expect(counts[0]! + counts[1]!).toBe(60)
    expect(Math.min(...counts)).toBeGreaterThan(0)
  })

  test('a hasty client, asking before its inbox is back, gets ready on our server', async () => {
    const server = ours.socket.listen('hasty')
    await server.waitUntilReady()
    const hasty = new PeerClient(address, { isHasty: true })
    const socket = new SocketClient(hasty, 'hasty', { dialect: 'classic' })
    await once(socket, 'ready')
    for (let cut = 0; cut < 5; cut++) {
      const down = disconnection(socket)
      hasty.cut()
      await down
      await once(socket, 'ready')
    }
    socket.close()
    hasty.close()
    server.close()
  })
})
