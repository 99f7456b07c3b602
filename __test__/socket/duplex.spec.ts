// A socket as a stream of Node.js: order, back-pressure both ways, ends, and who has the data.
import { once } from 'node:events'
import { Duplex, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { numbers, pair } from '../support/sockets'

describeFabrics('toDuplex', fabric => {
  test('carries values both ways, and ends behind them', async () => {
    const { server, socket } = await pair(fabric)
    const [there, here] = [server.toDuplex(), socket.toDuplex()]
    const echoed = pipeline(there, there)
    const values = [1, 'two', { three: [3] }, Buffer.from('4')]
    const got: unknown[] = []
    here.on('data', value => {
      got.push(value)
      if (got.length === values.length) here.end()
    })
    for (const value of values) here.write(value)
    await Promise.all([echoed, once(here, 'close')])
    expect(got).toEqual(values)
  })

  test('carries headers beside values', async () => {
    const { server, socket } = await pair(fabric)
    const there = server.toDuplex({ headers: true })
    socket.write(null, { headers: { n: 1 } })
    expect((await once(there, 'data'))[0]).toEqual({ data: null, headers: { n: 1 } })
    const answer = once(socket, 'data')
    there.write({ data: 'a', headers: { n: 2 } })
    expect(await answer).toEqual(['a', { n: 2 }])
    socket.close()
    await once(there, 'close')
  })

  test('carries bytes, cut and in order', async () => {
    const { server, socket } = await pair(fabric)
    const sizes: number[] = []
    server.on('data', data => sizes.push((data as Buffer).length))
    const total = 64 * 1024 * 2 + 5
    const bytes = Buffer.alloc(total, 'abc')
    const here = socket.toDuplex({ objectMode: false })
    here.resume().end(bytes)
    await once(here, 'close')
    expect(sizes).toEqual([64 * 1024, 64 * 1024, 5])
  })

  test('a reader that stops holds up its writer, at a bound', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 100 } })
    const there = server.toDuplex({ highWaterMark: 4 })
    const here = socket.toDuplex({ highWaterMark: 4 })
    const total = 1000
    let written = 0
    const source = Readable.from(
      (function* () {
        for (; written < total; written++) yield written
      })(),
    )
    const sent = pipeline(source, here)
    // Nobody reads: the window fills, and then the streams.
    await until(() => socket.stats.pending >= 50)
    const before = written
    for (let i = 0; i < 20; i++) await new Promise(setImmediate)
    expect(written).toBe(before)
    expect(before).toBeLessThan(100)
    expect(server.stats.received).toBeLessThanOrEqual(51)
    const got: number[] = []
    for await (const value of there) got.push(value)
    await sent
    expect(got).toEqual(numbers(0, total - 1))
  })

  test('becomes Web Streams', async () => {
    const { server, socket } = await pair(fabric)
    const { readable } = Duplex.toWeb(server.toDuplex({ objectMode: false }))
    const { writable } = Duplex.toWeb(socket.toDuplex({ objectMode: false }))
    const writer = writable.getWriter()
    const read = (async () => {
      const chunks: Uint8Array[] = []
      for await (const chunk of readable) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    })()
    await writer.write(Buffer.from('web '))
    await writer.write(Buffer.from('streams'))
    await writer.close()
    expect(await read).toBe('web streams')
  })

  test('gives what was held before it, and takes what the next listener would have had', async () => {
    const { server, socket } = await pair(fabric)
    socket.write('first')
    await until(() => server.stats.received >= 1)
    const there = server.toDuplex()
    expect(await once(there, 'data')).toEqual(['first'])
    const taken = expect.objectContaining({ code: 'ERR_SOCKET_TAKEN' })
    expect(() => server.toDuplex()).toThrow(taken)
    expect(() => server.on('data', () => {})).toThrow(taken)
    expect(() => server.iter()).toThrow(taken)
    expect(() => server[Symbol.asyncIterator]()).toThrow(taken)
    socket.close()
    await once(there, 'close')
  })

  test('bytes that are none, and null, destroy it', async () => {
    for (const [options, data, code] of [
      [{ objectMode: false }, { n: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [{}, null, 'ERR_STREAM_NULL_VALUES'],
    ] as const) {
      const { server, socket, host, guest } = await pair(fabric)
      const there = server.toDuplex(options).resume()
      socket.write(data)
      expect((await once(there, 'error'))[0]).toMatchObject({ code })
      await Promise.all([host.close(), guest.close()])
    }
  })

  test('what is no value of a stream takes nothing with it that stands before it, and its writer is told', async () => {
    const { server, socket, host, guest } = await pair(fabric)
    const read: unknown[] = []
    const reading = (async () => {
      for await (const value of server.toDuplex()) read.push(value)
    })()
    const closed = once(socket, 'closed')
    for (const value of [1, 2, null, 3]) socket.write(value)
    await expect(reading).rejects.toMatchObject({ code: 'ERR_STREAM_NULL_VALUES' })
    expect(read).toEqual([1, 2])
    const [reason] = await closed
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_ABORTED' })
    expect(reason.message).toContain('null is no value of a stream')
    await Promise.all([host.close(), guest.close()])
  })

  test('chunks with headers that are none are refused', async () => {
    for (const chunk of ['plain', { dta: 1 }, { data: 1, haeders: {} }]) {
      const { socket, host, guest } = await pair(fabric)
      const here = socket.toDuplex({ headers: true })
      here.write(chunk)
      expect((await once(here, 'error'))[0]).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
      await Promise.all([host.close(), guest.close()])
    }
    const { socket } = await pair(fabric)
    const wrong = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(() => socket.toDuplex({ headers: true, objectMode: false })).toThrow(wrong)
  })

  test('a closed socket has a stream that is destroyed, and destroy() closes the socket', async () => {
    const { server, socket } = await pair(fabric)
    const here = socket.toDuplex()
    const closed = once(server, 'closed')
    here.destroy()
    expect((await closed)[0]).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER' })
    const late = server.toDuplex()
    expect((await once(late, 'error'))[0]).toMatchObject({ code: 'EPIPE' })
  })

  test('a writable that fails closes the socket of a pipeline', async () => {
    const { server, socket } = await pair(fabric)
    const sink = new Writable({
      objectMode: true,
      write: (_chunk, _encoding, done) => done(Error('full')),
    })
    const closed = once(socket, 'closed')
    const piped = pipeline(server.toDuplex(), sink)
    socket.write(1)
    await expect(piped).rejects.toThrow('full')
    await closed
  })
})
