// `handle`: functions whose results are the answers to requests, of a socket and of all sockets of a server.
import { once } from 'node:events'
import { FabricError } from 'selvedge'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { join, listening, pair } from '../support/sockets'

describeFabrics('a function that handles requests', fabric => {
  test('answers with what it returns, resolves with, or throws, both ways', async () => {
    const { server, socket } = await pair(fabric)
    for (const [from, to] of [
      [socket, server],
      [server, socket],
    ] as const) {
      to.handle(async (question, message) => {
        if (question === 'throw') throw new FabricError('not that', 'ERR_MINE', { data: { n: 1 } })
        return [question, message.headers?.h]
      })
      expect((await from.request('one', { headers: { h: 2 } })).data).toEqual(['one', 2])
      await expect(from.request('throw')).rejects.toMatchObject({
        code: 'ERR_MINE',
        message: 'not that',
        data: { n: 1 },
      })
    }
  })

  test('answers once to who takes several, or by itself as often as it wants', async () => {
    const { server, socket } = await pair(fabric)
    server.handle((question, message) => {
      if (question === 'once') return 'only'
      for (const n of [1, 2, 3]) message.respondSync(n)
      return undefined
    })
    for (const [question, answers] of [
      ['once', ['only']],
      ['often', [1, 2, 3]],
    ] as const) {
      const all: unknown[] = []
      for await (const { data } of socket.requestMany(question)) all.push(data)
      expect(all).toEqual(answers)
    }
  })

  test('may be one of several: the first answer counts', async () => {
    const { server, socket } = await pair(fabric)
    server.handle(async () => {
      await new Promise(setImmediate)
      return 'late'
    })
    server.handle(() => 'first')
    expect((await socket.request(1)).data).toBe('first')
  })

  test('answers what comes behind a request that was given up before there was one', async () => {
    const { server, socket } = await pair(fabric)
    for (const [from, to] of [
      [socket, server],
      [server, socket],
    ] as const) {
      to.on('data', () => {})
      await expect(from.request('early', { timeout: 20 })).rejects.toMatchObject({ code: 408 })
      // Where this has been read, what was given up is known there.
      await from.send('behind')
      to.handle(question => `re ${question}`)
      for (const question of ['one', 'two']) {
        expect((await from.request(question, { timeout: 20_000 })).data).toBe(`re ${question}`)
      }
    }
  })

  test('is given to a server for all its sockets, those that middleware lets pass behind that', async () => {
    const listener = await listening(fabric.client(), 'handled')
    const [, before] = await join(listener, fabric.client())
    listener.handle(question => `one ${question}`)
    expect((await before.request(1)).data).toBe('one 1')
    let pass: (() => void) | undefined
    listener.use((_socket, next) => {
      pass = next
    })
    const socket = fabric.client().socket.connect('handled')
    const answer = socket.request(2)
    await until(() => pass !== undefined)
    listener.handle(() => 'another, behind the first')
    pass!()
    expect((await answer).data).toBe('one 2')
  })

  test('tells a socket without the stream in the headers what it has thrown', async () => {
    const listener = await listening(fabric.client(), 'plain', { stream: false })
    const [server, socket] = await join(listener, fabric.client())
    server.handle(question => {
      if (question === 'throw') throw new FabricError('not that', 'ERR_MINE')
      return 'fine'
    })
    expect((await socket.request('x')).data).toBe('fine')
    expect((await socket.request('throw')).headers).toMatchObject({ error: 'not that', code: 'ERR_MINE' })
    listener.close()
    await once(socket, 'closed')
  })

  test('that is none is refused', async () => {
    const { server, listener } = await pair(fabric)
    for (const side of [server, listener]) {
      expect(() => side.handle('no' as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
      )
    }
  })
})
