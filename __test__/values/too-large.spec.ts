// A message that is too large is refused where it is written, and nothing of it is sent.
import { once } from 'node:events'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { pair } from '../support/sockets'

const KIB = 1024
/** The smallest bound. */
const BOUND = 64 * KIB
const BIG = Buffer.alloc(BOUND)
/** It fits with the three bytes in front of it. */
const FITTING = Buffer.alloc(BOUND - 3)
const REFUSAL = { code: 'ERR_TOO_LARGE', size: BOUND + 5, limit: BOUND }

function thrown(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}

describeFabrics('a client', fabric => {
  test('refuses what is larger than its own bound, and sends what is not', async () => {
    const [asker, host] = [fabric.client({ maxMessageBytes: BOUND }), fabric.client()]
    const subscription = await host.subscribe('big')
    subscription.emitter.on('message', message => message.isRequest() && message.respondSync(message.length))
    expect(await rejection(asker.publish('big', BIG))).toMatchObject(REFUSAL)
    expect(await rejection(asker.request('big', BIG))).toMatchObject(REFUSAL)
    expect(
      await rejection(asker.request('big', 'small', { headers: { big: 'x'.repeat(BOUND) } })),
    ).toMatchObject({
      code: 'ERR_TOO_LARGE',
    })
    expect(await rejection(asker.requestMany('big', BIG).next())).toMatchObject(REFUSAL)
    expect(thrown(() => asker.publishSync('big', BIG))).toMatchObject(REFUSAL)
    expect((await asker.request('big', FITTING)).data).toBe(BOUND)
    const questions = await asker.subscribe('questions')
    const asked = host.request('questions')
    const question = (await questions.next()).value!
    expect(await rejection(question.respond(BIG))).toMatchObject(REFUSAL)
    await question.respond('small')
    expect((await asked).data).toBe('small')
  })

  test('has a smallest bound', async () => {
    for (const maxMessageBytes of [0, BOUND - 1, 1e9 + 0.5]) {
      expect(thrown(() => fabric.client({ maxMessageBytes }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    }
  })
})

describeFabrics(
  'a broker',
  fabric => {
    // Conat's protocol has no word for it.
    const told = fabric.kind === 'conat wire' ? test.skip : test

    told('says how large a message may be, and its clients refuse what is larger', async () => {
      const { server, socket, guest } = await pair(fabric)
      server.on('data', () => {})
      expect(await rejection(guest.publish('big', BIG))).toMatchObject(REFUSAL)
      expect(thrown(() => socket.write(BIG))).toMatchObject(REFUSAL)
      await socket.send(FITTING.subarray(KIB))
    })
  },
  { maxMessageBytes: BOUND },
)

describeFabrics('a socket', fabric => {
  test('refuses what is larger than its own bound', async () => {
    const bound = { maxMessageBytes: BOUND }
    const { listener, server, socket } = await pair(fabric, { listen: bound, connect: bound })
    server.on('data', () => {})
    expect(thrown(() => socket.write(BIG))).toMatchObject(REFUSAL)
    expect(await rejection(socket.send(BIG))).toMatchObject(REFUSAL)
    expect(await rejection(socket.request(BIG))).toMatchObject(REFUSAL)
    expect(thrown(() => server.write(BIG))).toMatchObject(REFUSAL)
    expect(thrown(() => listener.write(BIG))).toMatchObject(REFUSAL)
    expect([socket.stats.sent, server.stats.sent]).toEqual([0, 0])
    await socket.send(FITTING)
  })

  test('closes when a message comes that is larger, and what was written is told as undelivered', async () => {
    const { server, socket } = await pair(fabric, { listen: { maxMessageBytes: BOUND } })
    const ends = [once(server, 'closed'), once(socket, 'closed')]
    socket.write(BIG)
    const [here, there] = (await Promise.all(ends)).map(([reason]) => reason)
    expect(here).toMatchObject({ code: 'ERR_TOO_LARGE' })
    expect(there).toMatchObject({ code: 'ERR_TOO_LARGE', undelivered: 1 })
    expect(socket.undelivered()).toHaveLength(1)
  })

  test('of the old protocol closes as well', async () => {
    const { server, socket } = await pair(fabric, {
      listen: { maxMessageBytes: BOUND, stream: false },
      connect: { stream: false },
    })
    const ends = [once(server, 'closed'), once(socket, 'closed')]
    socket.write(BIG)
    const [here, there] = (await Promise.all(ends)).map(([reason]) => reason)
    expect(here).toMatchObject({ code: 'ERR_TOO_LARGE' })
    expect(there).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', undelivered: 1 })
  })
})
