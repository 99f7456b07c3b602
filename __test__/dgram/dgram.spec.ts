// Datagrams on subjects: whole, from whom, to one or many, and what is dropped.
import { once } from 'node:events'
import type { Client } from 'selvedge'
import { type DatagramInfo, over, type Socket } from 'selvedge/dgram'
import { sockets } from 'selvedge/net'
import { failure, until } from '../support/events'
import { describeFabricsAndWebSocket } from '../support/fabrics'

type Received = [message: Buffer, info: DatagramInfo]
const received = (socket: Socket): Promise<Received> => once(socket, 'message') as Promise<Received>
const closed = (socket: Socket): Promise<void> => new Promise(resolve => socket.close(resolve))

describeFabricsAndWebSocket('dgram', fabric => {
  let dgram = {} as ReturnType<typeof over>
  let client = {} as Client
  beforeEach(async () => {
    client = fabric.client()
    await client.waitUntilReady()
    dgram = over(client)
  })

  async function bound(...args: unknown[]): Promise<Socket> {
    const socket = dgram.createSocket('subject')
    await once((socket.bind as (...args: unknown[]) => Socket)(...args), 'listening')
    return socket
  }

  test('a question and its answer, and where they come from', async () => {
    const desk = await bound('news.desk')
    expect(desk.address()).toEqual({ address: 'news.desk', family: 'subject', port: 0 })
    desk.on('message', (message, { address }) => desk.send(`read ${message}`, address))
    const reader = dgram.createSocket('udp4')
    const sent = new Promise(resolve => {
      reader.send(Buffer.from('xxnewsxx'), 2, 4, 'news.desk', (error, bytes) => resolve([error, bytes]))
    })
    const [message, info] = await received(reader)
    expect(String(message)).toBe('read news')
    expect(await sent).toEqual([null, 4])
    expect(info).toEqual({
      address: 'news.desk',
      subject: reader.address().address,
      family: 'subject',
      port: 0,
      size: 9,
    })
    expect(reader.address().address).toMatch(/^dgram\.[a-z0-9]{26}$/)
    expect(sockets({ proto: 'dgram' }).map(({ local }) => local)).toEqual([
      'news.desk',
      reader.address().address,
    ])
    await Promise.all([closed(desk), closed(reader)])
    expect(sockets()).toEqual([])
  })

  test('messages of any kind, up to the bound', async () => {
    const desk = await bound('desk')
    const other = await bound()
    for (const [message, text] of [
      ['ž', 'ž'],
      [new Uint16Array([0x6161]), 'aa'],
      [['a', Buffer.from('b'), new Uint8Array([99])], 'abc'],
      ['', ''],
      [Buffer.alloc(65_507, 'x'), 'x'.repeat(65_507)],
    ] as const) {
      const got = received(desk)
      other.send(message as string, 'desk')
      expect(String((await got)[0])).toBe(text)
    }
    const large = await new Promise(resolve => other.send(Buffer.alloc(65_508), 'desk', resolve))
    expect(large).toMatchObject({ code: 'EMSGSIZE' })
    other.send(Buffer.alloc(65_508), 'desk')
    expect(await failure(other)).toMatchObject({ code: 'EMSGSIZE', syscall: 'send', address: 'desk' })
    await Promise.all([closed(desk), closed(other)])
  })

  test('a plain publish of bytes is a datagram; anything else is counted', async () => {
    const desk = await bound('desk')
    const got = received(desk)
    for (const data of ['text', 5, [1, 2], ['x', 'y'], { a: 1 }, null]) client.publishSync('desk', data)
    client.publishSync('desk', Buffer.from('bytes'))
    const [message, { address }] = await got
    expect([String(message), address]).toEqual(['bytes', ''])
    expect(desk.stats).toMatchObject({ malformed: 6, received: 1 })
    await closed(desk)
  })

  test('what cannot be decoded, is too large, or names no sender that could be answered, is counted', async () => {
    const desk = await bound('desk')
    const got = received(desk)
    for (const raw of [Buffer.from([0xc1]), Buffer.from([0xdd, 255, 255, 255, 255])])
      client.publishSync('desk', undefined, { raw, encoding: 0 })
    for (const from of ['', 'a..b', 'a.*', '>', 'a b', 'x'.repeat(9000), 'desk'])
      client.publishSync('desk', [from, Buffer.from('ping')])
    for (const data of [Buffer.alloc(65_508), ['x', Buffer.alloc(65_508)]]) client.publishSync('desk', data)
    client.publishSync('desk', ['x.y', Buffer.from('ping')])
    const [, { address }] = await got
    expect(address).toBe('x.y')
    expect(desk.stats).toMatchObject({ malformed: 11, received: 1 })
    await closed(desk)
  })

  test('an echo answers whoever it can, itself included, and survives the others', async () => {
    const desk = await bound('desk')
    const codes: unknown[] = []
    desk.on('message', (message, { address }) => {
      if (String(message) !== 'answer') desk.send('answer', address)
    })
    // Without a callback, and without anybody who listens to `error`.
    client.publishSync('desk', Buffer.from('who am I?'))
    desk.send('to myself', 'desk')
    await until(() => desk.stats.received === 3)
    expect(desk.stats).toMatchObject({ sent: 2, sendDropped: 1, malformed: 0 })
    desk.send('x', '', error => codes.push((error as NodeJS.ErrnoException).code))
    desk.on('error', error => codes.push((error as NodeJS.ErrnoException).code)).send('x', '')
    await until(() => codes.length === 2)
    expect(codes).toEqual(['EDESTADDRREQ', 'EDESTADDRREQ'])
    await closed(desk)
  })

  test('a subject is taken, or shared: each a copy, or one of a queue', async () => {
    const first = await bound('desk')
    for (const module of [dgram, over(fabric.client())]) {
      const second = module.createSocket('subject').bind('desk')
      expect(await failure(second)).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', address: 'desk' })
      await closed(second)
    }
    const shared = dgram.createSocket({ type: 'subject', reuseAddr: true }).bind('desk')
    await once(shared, 'listening')
    const both = Promise.all([received(first), received(shared)])
    const sender = await bound()
    sender.send('all', 'desk')
    expect((await both).map(([message]) => String(message))).toEqual(['all', 'all'])
    await Promise.all([closed(first), closed(shared)])

    const [one, two] = [
      await bound({ subject: 'work', queue: 'q' }),
      await bound({ subject: 'work', queue: 'q' }),
    ]
    for (let i = 0; i < 20; i++) sender.send(`${i}`, 'work')
    await until(() => one.stats.received + two.stats.received === 20)
    await Promise.all([closed(one), closed(two), closed(sender)])
  })

  test('one who has just let go of a subject, and is still known, does not hold it', async () => {
    const late = await fabric.client().subscribe('desk')
    const looks = jest.spyOn(client, 'interest')
    const desk = dgram.createSocket('subject').bind('desk')
    const listening = once(desk, 'listening')
    await until(() => looks.mock.results.length > 0)
    expect(await looks.mock.results[0]!.value).toBe(true)
    late.close()
    await listening
    await closed(desk)
  })

  test('many receivers by pattern, with or without the own ones', async () => {
    const member = await bound('member')
    member.addMembership('news.*')
    const sender = await bound()
    await client.waitForInterest('news.eu')
    const got = received(member)
    sender.send('hi', 'news.eu')
    expect((await got)[1]).toMatchObject({ subject: 'news.eu', address: sender.address().address })
    const own = received(member)
    member.send('mine', 'news.us')
    expect(String((await own)[0])).toBe('mine')
    member.setMulticastLoopback(false)
    member.send('not heard', 'news.us')
    const next = received(member)
    sender.send('heard', 'news.us')
    expect(String((await next)[0])).toBe('heard')
    member.dropMembership('news.*')
    expect(() => member.dropMembership('news.*')).toThrow(expect.objectContaining({ code: 'EADDRNOTAVAIL' }))
    await Promise.all([closed(member), closed(sender)])
  })

  test('a connected socket has one partner', async () => {
    const [one, two, stranger] = [await bound('one'), await bound('two'), await bound('stranger')]
    expect(() => one.remoteAddress()).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' }),
    )
    await new Promise<void>(resolve => one.connect('two', resolve))
    expect(one.remoteAddress().address).toBe('two')
    expect(() => one.send('x', 'two')).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' }),
    )
    expect(() => one.connect('two')).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' }),
    )
    const got = received(two)
    one.send('to two')
    expect(String((await got)[0])).toBe('to two')
    const answer = received(one)
    stranger.send('from a stranger', 'one')
    two.send('from two', 'one')
    expect(String((await answer)[0])).toBe('from two')
    one.disconnect()
    expect(() => one.disconnect()).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' }),
    )
    await Promise.all([closed(one), closed(two), closed(stranger)])
  })

  test('over what may wait to be sent it drops, counts, and says so', async () => {
    const sender = dgram.createSocket({ type: 'subject', sendBufferSize: 1000 })
    await once(sender.bind(), 'listening')
    const outcomes = await Promise.all(
      Array.from(
        { length: 200 },
        () =>
          new Promise<NodeJS.ErrnoException | null>(resolve => {
            sender.send(Buffer.alloc(60_000), 'nobody', resolve)
          }),
      ),
    )
    const dropped = outcomes.filter(error => error !== null)
    expect(sender.stats.sent + sender.stats.sendDropped).toBe(200)
    expect(dropped.length).toBe(sender.stats.sendDropped)
    for (const error of dropped) expect(error!.code).toBe('ENOBUFS')
    await closed(sender)
  })

  test('what waits for the bind is bounded, and the size is checked before', async () => {
    const away = over(fabric.client())
    const sender = away.createSocket({ type: 'subject', sendBufferSize: 100_000 })
    const outcomes: Promise<NodeJS.ErrnoException | null>[] = []
    const send = (size: number) =>
      outcomes.push(new Promise(resolve => sender.send(Buffer.alloc(size), 'nobody', resolve)))
    for (let i = 0; i < 2000; i++) send(60_000)
    expect([sender.getSendQueueCount(), sender.getSendQueueSize()]).toEqual([2, 120_000])
    expect(sender.stats.sendDropped).toBe(1998)
    send(65_508)
    expect(sender.getSendQueueCount()).toBe(2)
    for (const outcome of outcomes.slice(2, -1)) expect(await outcome).toMatchObject({ code: 'ENOBUFS' })
    expect(await outcomes.at(-1)).toMatchObject({ code: 'EMSGSIZE', syscall: 'send', address: 'nobody' })
    await closed(sender)
    expect((await outcomes[0])?.code).toBe('ERR_SOCKET_DGRAM_NOT_RUNNING')
    expect(sender.stats).toMatchObject({ sent: 0, sendDropped: 2000 })

    const tiny = away.createSocket('subject')
    for (let i = 0; i < 16_385; i++) tiny.send('', 'nobody')
    expect([tiny.getSendQueueCount(), tiny.stats.sendDropped]).toEqual([16_384, 1])
    await closed(tiny)
  })

  test('wrong arguments, and a closed socket', async () => {
    expect(() => dgram.createSocket('tcp' as never)).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_BAD_TYPE' }),
    )
    expect(() => dgram.createSocket({ type: 'subject', signal: 5 as never })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    )
    const socket = dgram.createSocket('subject')
    const any = (value: unknown): never => value as never
    for (const [call, code] of [
      [() => socket.send(any(5), 'x'), 'ERR_INVALID_ARG_TYPE'],
      [() => socket.send('x'), 'ERR_INVALID_ARG_TYPE'],
      [() => socket.send('x', any(5)), 'ERR_INVALID_ARG_TYPE'],
      [() => socket.send('x', 'a.*'), 'ERR_INVALID_ARG_VALUE'],
      [() => socket.send('abc', 4, 1, 'x'), 'ERR_BUFFER_OUT_OF_BOUNDS'],
      [() => socket.send('abc', 1, 3, 'x'), 'ERR_BUFFER_OUT_OF_BOUNDS'],
      [() => socket.bind('a..b'), 'ERR_INVALID_ARG_VALUE'],
      [() => socket.setRecvBufferSize(0), 'ERR_SOCKET_BAD_BUFFER_SIZE'],
      [() => socket.setSendBufferSize(-1), 'ERR_SOCKET_BAD_BUFFER_SIZE'],
    ] as const) {
      expect(call).toThrow(expect.objectContaining({ code }))
    }
    await once(socket.bind(), 'listening')
    expect(() => socket.bind()).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_ALREADY_BOUND' }))
    await closed(socket)
    for (const call of [
      () => socket.send('x', 'y'),
      () => socket.bind(),
      () => socket.close(),
      () => socket.address(),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' }))
    }
    const early = dgram.createSocket('subject')
    const told = new Promise(resolve => early.send('x', 'y', resolve))
    early.close()
    expect(await told).toMatchObject({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
  })
})
