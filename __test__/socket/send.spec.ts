import { once } from 'node:events'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { numbers, pair, take } from '../support/sockets'

describeFabrics('send', fabric => {
  test('resolves when the handler of the other side was called, and not before', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    const order: string[] = []
    server.on('data', data => order.push(`handled ${data}`))
    const sent = ['a', 'b'].map(data => socket.send(data).then(() => order.push(`sent ${data}`)))
    // The other way works meanwhile.
    const received = take(socket, 1)
    await server.send('back')
    expect(await received).toEqual(['back'])
    expect(order).toEqual([])
    server.resume()
    await Promise.all(sent)
    expect(order.filter(line => line.startsWith('handled'))).toEqual(['handled a', 'handled b'])
    expect(order.filter(line => line.startsWith('sent'))).toEqual(['sent a', 'sent b'])
    expect(order.indexOf('sent a')).toBeGreaterThan(order.indexOf('handled a'))
    expect(order.indexOf('sent b')).toBeGreaterThan(order.indexOf('handled b'))
  })

  test('many at once, among writes, arrive in order and all resolve', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 2000 } })
    const received = take(server, 1000)
    const sent: Promise<void>[] = []
    for (const n of numbers(1, 1000)) {
      if (n % 3 === 0) socket.write(n)
      else sent.push(socket.send(n, { headers: { n } }))
    }
    await Promise.all(sent)
    expect(await received).toEqual(numbers(1, 1000))
  })

  test('rejects where write throws, and then nothing was written', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 1 } })
    server.pause()
    const first = socket.send(1)
    await expect(socket.send(2)).rejects.toMatchObject({ code: 'ENOBUFS' })
    await expect(socket.send(3, { volatile: true } as object)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    })
    await expect(server.send(1n)).rejects.toMatchObject({ code: 'ERR_ENCODE' })
    expect(socket.stats.sent).toBe(1)
    const received = take(server, 1)
    server.resume()
    await first
    expect(await received).toEqual([1])
    socket.close()
    await expect(socket.send(4)).rejects.toMatchObject({ code: 'EPIPE' })
  })

  test('takes options only: headers that stand alone, which could be either, are refused', async () => {
    const { server, socket } = await pair(fabric)
    const bare = rejection(socket.send(1, { n: 1 } as object))
    expect(await bare).toMatchObject({
      code: 'ERR_UNKNOWN_OPTION',
      message: expect.stringContaining('{ headers: { n } }'),
    })
    const headers = once(server, 'data').then(([, given]) => given)
    await socket.send(2, { headers: { timeout: 1 } })
    expect(await headers).toMatchObject({ timeout: 1 })
    expect(socket.stats.sent).toBe(1)
  })

  test('stops waiting when it is told to, and the message stays in its place', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    const abort = new AbortController()
    const given = socket.send('given up', { signal: abort.signal })
    const late = rejection(socket.send('late', { timeout: 20 }))
    const kept = socket.send('kept')
    abort.abort(new Error('enough'))
    await expect(given).rejects.toMatchObject({ code: 'ABORT_ERR', cause: { message: 'enough' } })
    expect(await late).toMatchObject({ code: 408, message: expect.stringContaining('may still') })
    await expect(socket.send('never', { signal: abort.signal })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    const received = take(server, 3)
    server.resume()
    await kept
    expect(await received).toEqual(['given up', 'late', 'kept'])
  })

  test('rejects when the socket closes first, and the message is one of the undelivered', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    const gone = once(socket, 'closed')
    const sent = ['x', 'y'].map(data => rejection(socket.send(data)))
    server.close()
    const codes = (await Promise.all(sent)).map(({ code }) => code)
    expect(codes).toEqual(['ERR_SOCKET_CLOSED_BY_PEER', 'ERR_SOCKET_CLOSED_BY_PEER'])
    expect((await gone)[0]).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', undelivered: 2 })
    await expect(socket.waitUntilWritable()).rejects.toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER' })
    expect(socket.undelivered().map(({ data }) => data)).toEqual(['x', 'y'])
  })
})
