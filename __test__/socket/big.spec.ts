import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describeTransports, LARGE_PAYLOADS } from '../support/fabrics'
import { read } from '../support/messages'
import { join, numbers, pair, take } from '../support/sockets'

const MB = 1024 * 1024

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describeTransports(
  'a publish of 12 MB',
  fabric => {
    fabric.testExceptAtGateways('arrives as it was published, and counts once', async () => {
      const [alice, bob] = [fabric.client(), fabric.client()]
      const subscription = await bob.subscribe('big')
      const bytes = randomBytes(12 * MB)
      const { count, bytes: sent } = await alice.publish('big', bytes, { headers: { name: 'big' } })
      expect([count, sent]).toEqual([1, 12 * MB + 5])
      const [message] = await read(subscription, 1)
      expect(message!.length).toBe(12 * MB + 5)
      expect(message!.headers).toEqual({ name: 'big' })
      expect(hash(message!.data as Buffer)).toBe(hash(bytes))
    })

    fabric.testExceptAtGateways('goes to one member of a queue group as a whole', async () => {
      const publisher = fabric.client()
      const members = await Promise.all([1, 2, 3].map(() => fabric.client().subscribe('big', { queue: 'q' })))
      const got: string[] = []
      const all = new Promise<void>(resolve => {
        for (const member of members) {
          member.emitter.on('message', message => got.push(hash(message.data)) === 4 && resolve())
        }
      })
      const sent = numbers(1, 4).map(() => randomBytes(9 * MB))
      for (const bytes of sent) expect((await publisher.publish('big', bytes)).count).toBe(1)
      await all
      expect(got.sort()).toEqual(sent.map(hash).sort())
    })

    fabric.testExceptAtGateways('can be a question and an answer', async () => {
      const [alice, bob] = [fabric.client(), fabric.client()]
      const subscription = await bob.subscribe('big')
      subscription.emitter.on('message', message => message.respond(message.data))
      const bytes = randomBytes(12 * MB)
      expect(hash((await alice.request('big', bytes)).data as Buffer)).toBe(hash(bytes))
    })
  },
  undefined,
  LARGE_PAYLOADS,
)

describeTransports('a message of 12 MB', fabric => {
  test('goes over a socket, between small ones, in order', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueBytes: 64 * MB } })
    const received = take(server, 7)
    const sent = numbers(0, 6).map(n => (n % 3 === 1 ? randomBytes(12 * MB) : n))
    for (const data of sent) socket.write(data)
    const seen = (data: unknown) => (typeof data === 'number' ? data : hash(data as Buffer))
    expect((await received).map(seen)).toEqual(sent.map(seen))
    await socket.drain()
  })

  test('does not hold up the small ones of another socket', async () => {
    const { guest, listener, server, socket } = await pair(fabric, { connect: { maxQueueBytes: 64 * MB } })
    const [small, smallSocket] = await join(listener, guest)
    const arrived: string[] = []
    small.on('data', n => {
      arrived.push('s')
      small.write(n)
    })
    const sent = numbers(1, 4).map(() => randomBytes(12 * MB))
    const all = new Promise<string[]>(resolve => {
      const hashes: string[] = []
      server.on('data', data => {
        arrived.push('B')
        if (hashes.push(hash(data)) === sent.length) resolve(hashes)
      })
    })
    smallSocket.on('data', n => {
      arrived.push('s')
      if (smallSocket.state === 'ready') smallSocket.write(n)
    })
    // Eight go round and round while all of the big ones wait for their turn.
    for (const bytes of sent) socket.write(bytes)
    for (const n of numbers(1, 8)) smallSocket.write(n)
    expect(await all).toEqual(sent.map(hash))
    const between = arrived.join('').split('B').slice(1, -1)
    expect(between).toEqual(between.map(() => expect.stringMatching(/s/)))
    expect(between).toHaveLength(sent.length - 1)
    smallSocket.close()
    await once(small, 'closed')
  })

  test('can be as many as the window holds: none is lost', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 4, maxQueueBytes: 64 * MB } })
    const received = take(server, 4)
    const sent = numbers(1, 4).map(() => randomBytes(12 * MB))
    for (const bytes of sent) socket.write(bytes)
    expect((await received).map(hash)).toEqual(sent.map(hash))
  })
})
