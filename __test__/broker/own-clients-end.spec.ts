// A broker that closes takes its clients inside the process with it. Nobody has closed what is on them: each says why
// it ends, and nothing that was cut off looks complete.
import { once } from 'node:events'
import { type Client, type ConatSocketClient, type ConatSocketServer, connect, init } from 'selvedge'
import { until } from '../support/events'
import { rejection } from '../support/messages'

const CUT = expect.objectContaining({ code: 'ERR_BROKER_CLOSED' })
const NEVER = new Promise<void>(() => {})

interface Stage {
  own: Client
  listener: ConatSocketServer
  /** Of the own client, to a peer that handles nothing. */
  socket: ConatSocketClient
}

/** What waits, and why it should reject. */
const WAITS: Record<string, [expected: unknown, wait: (stage: Stage) => Promise<unknown>]> = {
  'a loop over a socket': [CUT, async ({ socket }) => await each(socket)],
  '`iter()` of a socket': [CUT, async ({ socket }) => await each(socket.iter())],
  'a stream': [CUT, async ({ socket }) => await each(socket.toDuplex())],
  'a loop over a socket that renews itself': [
    CUT,
    async ({ own }) => {
      const renewing = own.socket.connect('peer', { renew: true })
      await renewing.waitUntilReady()
      await each(renewing)
    },
  ],
  'a loop over a listener': [CUT, async ({ listener }) => await each(listener)],
  'a loop over a subscription': [CUT, async ({ own }) => await each(await own.subscribe('x'))],
  '`send`': [CUT, ({ socket }) => socket.send('!')],
  '`drain`': [
    CUT,
    ({ socket }) => {
      socket.write('!')
      return socket.drain()
    },
  ],
  '`waitUntilWritable`': [
    CUT,
    ({ socket }) => {
      while (socket.write('!'));
      return socket.waitUntilWritable()
    },
  ],
  '`end`': [
    expect.objectContaining({ code: 'ERR_UNDELIVERED', cause: CUT }),
    ({ socket }) => {
      socket.write('!')
      return socket.end()
    },
  ],
  'a request over a socket': [
    expect.objectContaining({ code: 'EPIPE', cause: CUT }),
    ({ socket }) => socket.request('?'),
  ],
  'requestMany over a socket': [
    expect.objectContaining({ code: 'EPIPE', cause: CUT }),
    ({ socket }) => each(socket.requestMany('?')),
  ],
  'the wait for a socket': [CUT, ({ own }) => own.socket.connect('nobody').waitUntilReady()],
  'a request': [closed(), ({ own }) => own.request('nobody', 1, { waitForInterest: true })],
  requestMany: [closed(), ({ own }) => each(own.requestMany('nobody', 1, { waitForInterest: true }))],
  'a publish': [closed(), ({ own }) => own.publish('nobody', 1, { waitForInterest: true })],
  'a wait for interest': [closed(), ({ own }) => own.waitForInterest('nobody')],
}

function closed() {
  return expect.objectContaining({ code: 'ERR_CLOSED', cause: CUT })
}

async function each(all: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of all);
}

/** A broker with an own client, and one that is connected to it. */
async function setUp() {
  const broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  const [own, other] = [broker.client(), connect({ address: broker.address()!, noCache: true })]
  const peer = other.socket.listen('peer')
  peer.on('connection', socket => {
    socket.pause()
    socket.on('request', () => NEVER)
  })
  await peer.waitUntilReady()
  const listener = own.socket.listen('upload')
  await listener.waitUntilReady()
  const socket = own.socket.connect('peer', { maxQueueSize: 4 })
  await socket.waitUntilReady()
  return { broker, own, other, listener, socket }
}

describe('when its broker closes', () => {
  for (const [name, [expected, wait]] of Object.entries(WAITS)) {
    test(`${name} of an own client says so`, async () => {
      const { broker, other, ...stage } = await setUp()
      const failed = rejection(wait(stage))
      // What it does first is done.
      await stage.own.waitForInterest('upload.server.status')
      await broker.close()
      expect(await failed).toEqual(expected)
      await other.close()
    })
  }

  for (const kind of ['a loop', 'a stream']) {
    test(`an upload to an own listener does not look complete: ${kind}`, async () => {
      const { broker, other, listener } = await setUp()
      const got: unknown[] = []
      const connection = once(listener, 'connection')
      const writer = other.socket.connect('upload')
      const [upload] = await connection
      const gone = once(upload, 'closed')
      const read = async () => {
        if (kind === 'a loop') for await (const [part] of upload) got.push(String(part))
        else for await (const part of upload.toDuplex({ objectMode: false })) got.push(String(part))
      }
      const failed = rejection(read())
      writer.write(Buffer.from('part 1 of 9'))
      await until(() => got.length === 1)
      await broker.close()
      expect(await failed).toEqual(CUT)
      expect((await gone)[0]).toEqual(CUT)
      expect(got).toEqual(['part 1 of 9'])
      await other.close()
    })
  }

  test('`closed` of its sockets and listeners has the reason, and they keep it', async () => {
    const { broker, other, own, listener, socket } = await setUp()
    socket.write('!')
    const all = Promise.all([once(own, 'closed'), once(listener, 'closed'), once(socket, 'closed')])
    await broker.close()
    const [[ofClient], [ofListener], [ofSocket, undelivered]] = await all
    expect([ofClient, ofListener, ofSocket, undelivered]).toEqual([CUT, CUT, CUT, 1])
    expect(await rejection(socket.drain())).toEqual(CUT)
    expect(await rejection(each(socket))).toEqual(CUT)
    expect(await rejection(own.request('x'))).toEqual(closed())
    expect(await rejection(own.waitUntilReady())).toEqual(closed())
    await other.close()
  })

  test('what its program had closed before stays closed without a reason', async () => {
    const { broker, other, own, listener, socket } = await setUp()
    const all = Promise.all([once(own, 'closed'), once(listener, 'closed'), once(socket, 'closed')])
    const loop = each(socket)
    void own.close()
    await broker.close()
    expect((await all).map(([reason]) => reason)).toEqual([undefined, undefined, undefined])
    await loop
    await other.close()
  })
})
