// However many messages have come, the event loop goes round between them: timers, I/O and what promises go on with have their turn.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ServerSocket } from 'selvedge'
import { Draft } from 'selvedge/sockety'
import { closeAll, dial, listen as listenSockety, portOf } from '../sockety/pairs'
import { describeFabrics } from '../support/fabrics'
import { pair } from '../support/sockets'

const COUNT = 30_000
/** Of handlers that take 2 ms. */
const FEW_COUNT = 600
/** What one turn dispatches, a few times: the engine may wake JavaScript again before the loop has gone round. */
const MOST_BETWEEN = 4 * 2048

/** Counts the calls between two turns of the event loop. */
class Turns {
  most = 0
  #calls = 0
  #isOver = false

  constructor() {
    void this.#watch()
  }

  count(): void {
    this.#calls += 1
    this.most = Math.max(this.most, this.#calls)
  }

  end(): void {
    this.#isOver = true
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      await nextTurn()
      this.#calls = 0
    }
  }
}

const SOCKETS = { maxQueueSize: COUNT + 1 }

describeFabrics('a turn of the event loop', fabric => {
  let turns: Turns
  beforeEach(() => {
    turns = new Turns()
  })
  afterEach(() => turns.end())

  async function sockets(): Promise<ServerSocket> {
    const { server, socket } = await pair(fabric, { listen: SOCKETS, connect: SOCKETS })
    for (let n = 0; n < COUNT; n++) socket.write(n)
    return server
  }

  test('has so many messages of a socket', async () => {
    const server = await sockets()
    let seen = 0
    await new Promise<void>(resolve =>
      server.on('data', () => {
        turns.count()
        if (++seen === COUNT) resolve()
      }),
    )
    expect(turns.most).toBeLessThanOrEqual(MOST_BETWEEN)
  })

  test.each(['data', 'requests'])('has few %s if handlers take long', async kind => {
    const { server, socket } = await pair(fabric, { listen: SOCKETS, connect: SOCKETS })
    const handle = (): void => {
      turns.count()
      for (const end = performance.now() + 2; performance.now() < end; );
    }
    if (kind === 'data') {
      for (let n = 0; n < FEW_COUNT; n++) socket.write(n)
      let seen = 0
      await new Promise<void>(resolve =>
        server.on('data', () => {
          handle()
          if (++seen === FEW_COUNT) resolve()
        }),
      )
    } else {
      server.handle(handle)
      await Promise.all(Array.from({ length: FEW_COUNT }, (_, n) => socket.request(n, { timeout: 50_000 })))
    }
    expect(turns.most).toBeLessThan(FEW_COUNT / 4)
  })

  test('has so many requests, and answers them before it has more', async () => {
    const { server, socket } = await pair(fabric, { listen: SOCKETS, connect: SOCKETS })
    let [open, most] = [0, 0]
    server.handle(async n => {
      turns.count()
      most = Math.max(most, ++open)
      await null
      open -= 1
      return n
    })
    const answers = await Promise.all(
      Array.from({ length: 5000 }, (_, n) => socket.request(n, { timeout: 50_000 })),
    )
    expect(answers.map(({ data }) => data)).toEqual(Array.from({ length: 5000 }, (_, n) => n))
    expect(most).toBeLessThanOrEqual(2048)
    expect(turns.most).toBeLessThanOrEqual(MOST_BETWEEN)
  })

  test('has so many messages of a subscription', async () => {
    const [reader, writer] = [fabric.client(), fabric.client()]
    const subscription = await reader.subscribe('flood')
    let seen = 0
    const all = new Promise<void>(resolve =>
      subscription.emitter.on('message', () => {
        turns.count()
        if (++seen === COUNT) resolve()
      }),
    )
    for (let n = 0; n < COUNT; n++) {
      if (n % 5000 === 0) await writer.publish('flood', n)
      else writer.publishSync('flood', n)
    }
    await all
    expect(turns.most).toBeLessThanOrEqual(MOST_BETWEEN)
  })

  // Each wait whose time is over reads first what has come.
  test('has no more of them where many waits end at once', async () => {
    const [reader, writer] = [fabric.client(), fabric.client()]
    const idle = reader.socket.connect('nobody.there')
    const waits: Promise<unknown>[] = []
    const beginWaits = (): void => {
      for (let n = 0; n < 200; n++) waits.push(idle.waitUntilReady(1).catch(error => error.code))
      for (const end = performance.now() + 5; performance.now() < end; );
    }
    const subscription = await reader.subscribe('flood')
    let seen = 0
    const all = new Promise<void>(resolve =>
      subscription.emitter.on('message', () => {
        if (seen === 0) beginWaits()
        turns.count()
        if (++seen === COUNT) resolve()
      }),
    )
    for (let n = 0; n < COUNT; n++) {
      if (n % 5000 === 0) await writer.publish('flood', n)
      else writer.publishSync('flood', n)
    }
    await all
    expect(new Set(await Promise.all(waits))).toEqual(new Set([408]))
    expect(turns.most).toBeLessThanOrEqual(MOST_BETWEEN)
  })
})

test('a turn of the event loop has so many messages of Sockety, and answers them before it has more', async () => {
  const turns = new Turns()
  const server = await listenSockety()
  let [open, most] = [0, 0]
  server.on('connection', connection =>
    connection.on('message', async message => {
      turns.count()
      most = Math.max(most, ++open)
      await null
      open -= 1
      message.fastReply(7)
    }),
  )
  try {
    const connection = await dial(portOf(server))
    const add = Draft.for('add')
    const answers = await Promise.all(Array.from({ length: 10_000 }, () => connection.send(add()).response()))
    expect(answers.filter(answer => answer !== 7)).toEqual([])
    expect(most).toBeLessThanOrEqual(2048)
    expect(turns.most).toBeLessThanOrEqual(MOST_BETWEEN)
  } finally {
    turns.end()
    await closeAll()
  }
})
