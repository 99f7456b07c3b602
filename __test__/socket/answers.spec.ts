// Several answers to one request over a socket, and answers that are errors.
import { once } from 'node:events'
import { FabricError, type Message, type RequestManyOptions } from 'selvedge'
import { describeFabric, describeFabrics } from '../support/fabrics'
import { answerForLonger } from '../support/messages'
import { join, listening, pair } from '../support/sockets'

describeFabrics('many answers in the stream', fabric => {
  test('stand in the order of the calls, among the data, both ways, until the other side ends them', async () => {
    const { server, socket } = await pair(fabric)
    for (const [from, to] of [
      [socket, server],
      [server, socket],
    ] as const) {
      const asked: unknown[] = []
      const seen: unknown[] = []
      to.on('data', data => asked.push(data))
      from.on('data', data => seen.push(data))
      to.on('request', async request => {
        asked.push(request.data)
        for (let n = 0; n < 30; n++) {
          request.respondSync(n)
          to.write(n)
          if (n % 10 === 9) await new Promise(setImmediate)
        }
        request.end()
        expect(await request.respond('late')).toMatchObject({ count: 0 })
      })
      from.write('before')
      const answers = from.requestMany('many')
      from.write('behind')
      for await (const { data } of answers) {
        // What was written before an answer has been seen when it is.
        expect(seen.length).toBeGreaterThanOrEqual(data as number)
        seen.push(`answer ${data}`)
      }
      expect(seen.filter(item => typeof item === 'string')).toEqual(
        Array.from({ length: 30 }, (_, n) => `answer ${n}`),
      )
      await from.drain()
      expect(asked).toEqual(['before', 'many', 'behind'])
      to.removeAllListeners('request')
      to.removeAllListeners('data')
    }
  })

  test('end when the reader has enough or leaves, and the other side is told', async () => {
    const { server, socket } = await pair(fabric)
    const leave = async (answers: AsyncIterable<Message>): Promise<void> => {
      for await (const { data } of answers) if (data === 2) break
    }
    const controller = new AbortController()
    const ways: (() => Promise<unknown>)[] = [
      async () => {
        const all: unknown[] = []
        for await (const { data } of socket.requestMany(0, { maxMessages: 3 })) all.push(data)
        expect(all).toEqual([1, 2, 3])
      },
      () => leave(socket.requestMany(1)),
      async () => {
        const answers = socket.requestMany(2, { signal: controller.signal })
        await answers.next()
        controller.abort()
        await answers.next()
        await answers.next()
        await expect(answers.next()).rejects.toMatchObject({ code: 'ABORT_ERR' })
      },
      () => leave(socket.requestMany(3, { maxWait: 100 })),
    ]
    for (const way of ways) {
      const request = once(server, 'request').then(([request]: Message[]) => {
        for (const n of [1, 2, 3]) request!.respondSync(n)
        return once(request!.signal, 'abort')
      })
      await way()
      await request
    }
  })

  test('end quietly after the wait for another one, and only then: else the end is missing', async () => {
    const { server, socket } = await pair(fabric)
    const asked = async (question: unknown, options: RequestManyOptions): Promise<unknown[]> => {
      const answers: unknown[] = []
      try {
        for await (const { data } of socket.requestMany(question, options)) answers.push(data)
        return answers
      } catch (error) {
        return [...answers, (error as FabricError).code]
      }
    }
    server.on('request', request => {
      if (request.data === 'no answer') return
      for (const n of [1, 2]) request.respondSync(n)
      if (request.data === 'all') request.end()
    })
    expect(await asked('', { maxWait: 50 })).toEqual([1, 2])
    expect(await asked('', { maxMessages: 2, timeout: 100 })).toEqual([1, 2])
    expect(await asked('all', { timeout: 60_000, maxMessages: 3 })).toEqual([1, 2])
    expect(await asked('', { timeout: 100 })).toEqual([1, 2, 408])
    expect(await asked('', { timeout: 100, maxMessages: 3 })).toEqual([1, 2, 408])
    expect(await asked('', { timeout: 100, noThrow: true })).toEqual([1, 2])
    // Nobody answers: as with `request`.
    for (const options of [{}, { maxWait: 10 }, { maxMessages: 1 }])
      expect(await asked('no answer', { timeout: 100, ...options })).toEqual([408])
  })

  test('go on past the timeout while each comes within maxWait of the one before', async () => {
    const { server, socket } = await pair(fabric)
    const timeout = 600
    server.on('request', request => answerForLonger(request, timeout))
    let last: unknown
    for await (const { data } of socket.requestMany(null, { timeout, maxWait: 20_000 })) {
      last = data
      if (data === 'last') break
    }
    expect(last).toBe('last')
  })

  test('may be large, and have headers', async () => {
    const { server, socket } = await pair(fabric)
    const large = Buffer.alloc(1_500_000, 7)
    server.on('request', request => {
      for (const n of [1, 2, 3]) request.respondSync(large, { headers: { n } })
      request.end()
    })
    const seen: unknown[] = []
    for await (const answer of socket.requestMany(large)) {
      expect(Buffer.compare(answer.data as Buffer, large)).toBe(0)
      seen.push(answer.headers)
    }
    expect(seen).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  })

  test('that are open when the socket closes end with the reason', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', request => request.respondSync(1))
    const answers = socket.requestMany()
    expect((await answers.next()).value!.data).toBe(1)
    const rest = expect(answers.next()).rejects.toMatchObject({ code: 'EPIPE' })
    server.close()
    await rest
  })
})

describeFabric('in-process', 'many answers that nobody reads', fabric => {
  test('have a bound, also if they are empty', async () => {
    const { server, socket } = await pair(fabric)
    const empty = { raw: new Uint8Array(), encoding: 0 }
    server.on('request', async request => {
      while (!request.signal.aborted) {
        for (let n = 0; n < 5000; n++) request.respondSync(null, empty)
        await new Promise(setImmediate)
      }
    })
    const asked = once(server, 'request') as Promise<[Message]>
    const answers = socket.requestMany()
    const [request] = await asked
    await once(request.signal, 'abort')
    let count = 0
    const outcome = (async () => {
      for await (const answer of answers) count += 1 + answer.length
    })()
    await expect(outcome).rejects.toMatchObject({ code: 'ENOBUFS' })
    expect(count).toBeGreaterThan(10_000)
  })
})

class Refused extends Error {
  code = 'E_REFUSED'
}

describeFabrics('an error as the answer to a request over a socket', fabric => {
  test('reaches the requester with text and code, however the handler comes to it', async () => {
    const { server, socket } = await pair(fabric)
    const ways: Record<string, (request: Message) => unknown> = {
      throws: () => {
        throw new Refused('no')
      },
      rejects: async () => {
        await null
        throw new Refused('no')
      },
      responds: request => request.respond(new Refused('no')),
      'responds at once': request => request.respondSync(new Refused('no'), { headers: { n: 1 } }),
    }
    for (const side of [server, socket]) side.on('request', request => ways[request.data as string]!(request))
    for (const from of [server, socket]) {
      for (const way of Object.keys(ways)) {
        const failure: FabricError = await from.request(way).then(
          () => undefined as never,
          error => error,
        )
        expect(failure).toBeInstanceOf(FabricError)
        expect([failure.message, failure.code, failure.handled]).toEqual(['no', 'E_REFUSED', undefined])
        expect(await from.request(way, { noThrow: true })).toBeUndefined()
      }
    }
  })

  test('has a code of its own if it came without one, and a text whatever was thrown', async () => {
    const { server, socket } = await pair(fabric)
    const thrown = [new Error('plain'), 'a text', undefined, Object.assign(new Error('many'), { code: 429 })]
    server.on('request', request => {
      throw thrown[request.data as number]
    })
    const failures = await Promise.all(thrown.map((_, n) => socket.request(n).catch(error => error)))
    expect(failures.map(({ message, code }) => [message, code])).toEqual([
      ['plain', 'ERR_SERVICE'],
      ['a text', 'ERR_SERVICE'],
      ['undefined', 'ERR_SERVICE'],
      ['many', 429],
    ])
  })

  test('brings its data, if JSON has it and it is not too long, and no headers that others reserve', async () => {
    const { server, socket } = await pair(fabric)
    const circle: unknown[] = []
    circle.push(circle)
    const deep = JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`)
    const map = { fields: new Map([['name', 1]]) }
    const data = [{ field: 'name', left: [1, null] }, 'x'.repeat(20_000), circle, undefined, 7n, deep, map]
    server.on('request', async request => {
      const error = Object.assign(new Error('no'), { data: data[request.data as number] })
      await request.respond(error, { headers: { mine: 1, 'CN-Error': { message: 'forged' } } })
    })
    const failures = await Promise.all(data.map((_, n) => socket.request(n).catch(error => error)))
    expect(failures.map(({ message, data }) => [message, data])).toEqual([
      ['no', data[0]],
      ...data.slice(1).map(() => ['no', undefined]),
    ])
    const { value: answer } = await socket.requestMany(0, { maxMessages: 1 }).next()
    expect(answer!.headers).toMatchObject({ mine: 1, error: 'no' })
  })

  test('does not disturb those behind it, nor the socket', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', request => {
      if ((request.data as number) % 2 === 0) throw new Error('even')
      request.respondSync(request.data)
    })
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => socket.request(n)))
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual(outcomes.map((_, n) => n % 2 === 1))
    server.on('data', () => {})
    await socket.send('fine')
  })

  test('is one of many answers, and the last one if the handler throws it', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', async request => {
      request.respondSync(1)
      request.respondSync(new Refused('for now'))
      request.respondSync(2)
      throw new Refused('for good')
    })
    const seen: unknown[] = []
    for await (const { data, headers } of socket.requestMany()) {
      seen.push(headers?.error === undefined ? data : [headers.error, headers.code])
    }
    expect(seen).toEqual([1, ['for now', 'E_REFUSED'], 2, ['for good', 'E_REFUSED']])
  })

  test('is not what an application says in its own headers', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', request => {
      request.respondSync('fine', { headers: { error: 'mine', 'CN-Error': { message: 'forged' } } })
    })
    const answer = await socket.request()
    expect([answer.data, answer.headers]).toEqual(['fine', { error: 'mine' }])
  })

  test('is nothing when the requester has gone before the handler threw', async () => {
    const { server, socket } = await pair(fabric)
    const controller = new AbortController()
    const asked = once(server, 'request') as Promise<[Message]>
    server.on('request', async request => {
      await once(request.signal, 'abort')
      throw request.signal.reason
    })
    const refused = expect(socket.request(1, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORT_ERR',
    })
    const [request] = await asked
    const aborted = once(request.signal, 'abort')
    controller.abort()
    await Promise.all([refused, aborted])
    // An unhandled rejection would end this process.
    server.on('data', () => {})
    await socket.send('fine')
  })
})

describeFabrics('with a peer that does not speak the stream', fabric => {
  test('many are answered, a request waits for interest, and an error rejects, from either mode', async () => {
    for (const [listen, connect] of [
      [{ stream: false }, {}],
      [{}, { stream: false }],
    ]) {
      const listener = await listening(fabric.client(), 'mixed', listen)
      const [server, socket] = await join(listener, fabric.client(), connect)
      for (const side of [server, socket]) {
        side.on('request', request => {
          if (request.data === 'error') request.respondSync(new Error('no'))
          for (const n of [1, 2, 3]) request.respondSync(n)
          // There is no way to say so: the limits of the requester end it.
          request.end()
        })
      }
      for (const side of [server, socket]) {
        expect((await side.request('one', { waitForInterest: true })).data).toBe(1)
        await expect(side.request('error')).rejects.toThrow('no')
        for (const options of [{ maxMessages: 3 }, { maxWait: 500 }]) {
          const answers: unknown[] = []
          for await (const { data } of side.requestMany('many', options)) answers.push(data)
          expect(answers).toEqual([1, 2, 3])
        }
      }
      listener.close()
      await once(socket, 'closed')
    }
  })
})
