// Every mix of our broker, servers and clients with peers of the original's kind, in both of its dialects.
import { once } from 'node:events'
import { MIXES, type Mix, Pair, type Socket, until } from './parties'
import type { Channel } from './peers/channel'

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
const isTheirs = (kind: string) => kind !== 'ours'

// A file for each broker, so that they run side by side.
export function testMixes(broker: Mix['broker']): void {
  describe.each(MIXES)(`${broker} broker, $server server, $client client`, ends =>
    testMix({ broker, ...ends }),
  )
}

function testMix(mix: Mix): void {
  let pair: Pair
  const open = async (options?: object) => (pair = await Pair.open(mix, options))
  afterEach(() => pair.close())

  test('hundreds of messages go both ways, in order, with their headers', async () => {
    const { client, server, received } = await open()
    for (const i of numbers(0, 200)) {
      client.write({ i, at: new Date(i) }, { headers: { my: 'header', i } })
      server.write(`re:${i}`, i % 2 ? { headers: { i } } : undefined)
    }
    expect(await received.server.until(200)).toEqual(numbers(0, 200).map(i => ({ i, at: new Date(i) })))
    expect(received.server.headers).toEqual(numbers(0, 200).map(i => ({ my: 'header', i })))
    expect(await received.client.until(200)).toEqual(numbers(0, 200).map(i => `re:${i}`))
    expect(received.client.headers).toEqual(numbers(0, 200).map(i => (i % 2 ? { i } : {})))
    await Promise.all([client.drain(), server.drain()])
  })

  test('both sides ask and answer', async () => {
    const { client, server } = await open()
    for (const [asker, answerer] of [
      [client, server],
      [server, client],
    ] as const) {
      const responses: Promise<unknown>[] = []
      answerer.on('request', message => {
        responses.push(message.respond({ got: message.data }, { headers: { re: message.headers.my } }))
      })
      const answers = await Promise.all(numbers(0, 20).map(i => asker.request(i, { headers: { my: i } })))
      expect(answers.map(answer => answer.data)).toEqual(numbers(0, 20).map(got => ({ got })))
      expect(answers.map(answer => answer.headers)).toEqual(numbers(0, 20).map(re => ({ re })))
      await Promise.all(responses)
    }
  })

  test('a message of 12 MB arrives both ways', async () => {
    const { client, server, received } = await open()
    const big = Buffer.alloc(12_000_000, 'thrums and selvedges, ')
    client.write(big, { headers: { big: true } })
    client.write('after')
    const [first, second] = await received.server.until(2)
    expect(big.equals(first as Buffer)).toBe(true)
    expect([received.server.headers[0], second]).toEqual([{ big: true }, 'after'])
    server.write(first)
    const [back] = await received.client.until(1)
    expect(big.equals(back as Buffer)).toBe(true)
  })

  test('a broker that restarts loses nothing, repeats nothing', async () => {
    const { client, server, broker, received } = await open()
    const write = (from: number, to: number) => {
      for (const i of numbers(from, to)) {
        client.write(i)
        server.write(i)
      }
    }
    write(0, 50)
    await received.server.until(20)
    const restarted = broker.restart()
    write(50, 100)
    await restarted
    write(100, 150)
    await Promise.all([received.server.until(150), received.client.until(150)])
    client.write('end')
    server.write('end')
    const all = [...numbers(0, 150), 'end']
    expect(await received.server.until(151)).toEqual(all)
    expect(await received.client.until(151)).toEqual(all)
  })

  test('cutting either transport loses nothing, repeats nothing', async () => {
    const { client, server, fabrics, received } = await open()
    let count = 0
    for (const fabric of [fabrics.client, fabrics.server]) {
      const write = () => {
        for (const _ of numbers(0, 30)) {
          client.write(count)
          server.write(count++)
        }
      }
      write()
      fabric.cut()
      write()
      await Promise.all([received.server.until(count), received.client.until(count)])
      // Both ways once more, so that a repetition would show.
      write()
      expect(await received.server.until(count)).toEqual(numbers(0, count))
      expect(await received.client.until(count)).toEqual(numbers(0, count))
    }
  })

  test.each(['client', 'server', 'listener'] as const)('closed by the %s, the other end closes', async by => {
    const opened = await open()
    const other = by === 'client' ? opened.server : opened.client
    const closed = once(other, 'closed')
    opened[by].close()
    await closed
    expect(other.state).toBe('closed')
    expect(() => other.write('more')).toThrow(expect.objectContaining({ code: 'EPIPE' }))
  })

  if (isTheirs(mix.server) !== isTheirs(mix.client)) {
    const [theirSide, ourSide] = isTheirs(mix.server)
      ? (['server', 'client'] as const)
      : (['client', 'server'] as const)
    const ends = () => ({ theirs: pair[theirSide] as unknown as Channel, ours: pair[ourSide] as Socket })

    test('what gets lost either way is asked for', async () => {
      const isLost = (seq: number) => seq % 7 === 3 || seq === 20
      await open({ [theirSide]: { loses: isLost, misses: isLost } })
      const { theirs, ours } = ends()
      for (const i of numbers(1, 61)) {
        ours.write(i, { headers: { i } })
        theirs.write(i, { headers: { i } })
      }
      for (const side of ['server', 'client'] as const) {
        expect(await pair.received[side].until(60)).toEqual(numbers(1, 61))
        expect(pair.received[side].headers).toEqual(numbers(1, 61).map(i => ({ i })))
      }
      const lost = expect.arrayContaining(numbers(1, 61).filter(isLost))
      expect(theirs.seen.asks).toEqual(lost)
      expect(theirs.seen.askedFor).toEqual(lost)
    })

    test('late reports fill our window, then empty it', async () => {
      await open({ [theirSide]: { holdsReports: true }, [ourSide]: { maxQueueSize: 20 } })
      const { theirs, ours } = ends()
      for (const i of numbers(0, 20)) ours.write(i)
      expect(() => ours.write('too much')).toThrow(expect.objectContaining({ code: 'ENOBUFS' }))
      await pair.received[theirSide].until(20)
      expect(() => ours.write('too much')).toThrow('WRITE FAILED: socket buffer size 20 exceeded')
      const drained = once(ours, 'drain')
      theirs.releaseReports()
      await drained
      ours.write('more')
      expect(await pair.received[theirSide].until(21)).toEqual([...numbers(0, 20), 'more'])
    })

    test('our reports empty their window', async () => {
      await open({ [theirSide]: { maxQueueSize: 20 } })
      const { theirs } = ends()
      for (let i = 0; i < 200; i += 20) {
        const drained = once(theirs, 'drain')
        for (const n of numbers(i, i + 20)) theirs.write(n)
        await drained
      }
      expect(pair.received[ourSide].data).toEqual(numbers(0, 200))
      // Cumulative: at most as many as theirs would be, and never backwards.
      const { reports } = theirs.seen
      expect(reports).toEqual([...reports].sort((a, b) => a - b))
      expect(reports.length).toBeLessThanOrEqual(200)
    })

    test('a peer that falls silent is noticed', async () => {
      await open({ [ourSide]: { keepAlive: 100, keepAliveTimeout: 100 } })
      const { theirs, ours } = ends()
      theirs.isMute = true
      if (ourSide === 'server') {
        await until(ours, 'closed')
        theirs.isMute = false
        // Its server has forgotten it, and says so.
        theirs.write('hello?')
        await until(theirs, 'closed')
        return
      }
      await until(ours, 'disconnected')
      ours.write('still here')
      theirs.isMute = false
      await until(ours, 'ready')
      expect(await pair.received[theirSide].until(1)).toEqual(['still here'])
    })

    test('their keep-alive hears us', async () => {
      await open({ [theirSide]: { keepAlive: 50, keepAliveTimeout: 1000 }, [ourSide]: { keepAlive: 50 } })
      const { theirs, ours } = ends()
      const states: string[] = []
      for (const end of [theirs, ours]) {
        for (const state of ['disconnected', 'closed']) end.on(state, () => states.push(state))
      }
      // Quiet but for keep-alive: our pings arrive, theirs are answered.
      for (const _ of numbers(0, 3)) await once(theirs, 'ping')
      expect(states).toEqual([])
    })
  }
}
