// A program ends by itself when nothing is open, stays when something is, and loses nothing that it wrote.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, init, type ServerSocket } from 'selvedge'
import { type Ended, run, start } from './run'

let broker: ConatServer
let client: Client
let address: string

beforeAll(async () => {
  broker = init({ port: 0 })
  await broker.waitUntilReady()
  address = `http://127.0.0.1:${broker.address()!.port}`
  client = broker.client()
})

afterAll(async () => {
  await client.close()
  await broker.close()
})

function expectCleanEnd(ended: Ended): void {
  expect({ ...ended, stdout: '', msAfterOutput: 0 }).toEqual({
    code: 0,
    signal: null,
    stdout: '',
    stderr: '',
    msAfterOutput: 0,
  })
}

describe('a program that is done ends by itself, quickly and in silence', () => {
  for (const place of ['in-process', 'over a port']) {
    for (const closing of ['all', 'sockets', 'unref']) {
      const how = { all: 'all was closed', sockets: 'only the client is open', unref: 'all was unref-ed' }[
        closing
      ]
      test(`${place}, when ${how}`, async () => {
        const ended = await run('talk.mjs', [place === 'in-process' ? '-' : address, closing])
        expectCleanEnd(ended)
        expect(ended.stdout).toBe('hello again\n')
        expect(ended.msAfterOutput).toBeLessThan(1000)
      })
    }
  }
})

describe('a program stays alive', () => {
  const subject = 'hold.it'
  // What the parent does, long after everything in the program has come to rest, and the program must hear.
  const messages: Record<string, () => Promise<unknown>> = {
    socket: async () => {
      const server = servers.pop()!
      server.forEach((socket: ServerSocket) => {
        socket.write('late')
      })
    },
    listener: async () => {
      const socket = client.socket.connect(subject)
      socket.write('late')
      await once(socket, 'closed')
    },
    subscription: () => client.publish(subject, 'late'),
    request: async () => held.pop()!.respond('late'),
  }
  const servers: ReturnType<Client['socket']['listen']>[] = []
  const held: { respond(data: unknown): Promise<unknown> }[] = []

  test.each(Object.keys(messages))('with an open %s', async what => {
    const server = what === 'socket' ? client.socket.listen(subject) : undefined
    if (server !== undefined) {
      servers.push(server)
      await server.waitUntilReady()
    }
    const subscription = what === 'request' ? await client.subscribe(subject) : undefined
    const asked = subscription?.next()
    const program = start('hold.mjs', [address, what, subject])
    await program.printed('open')
    if (asked !== undefined) held.push((await asked).value!)
    // Not a wait for something to happen: the time in which a program that holds nothing would have ended.
    const early = await Promise.race([
      program.ended,
      new Promise(resolve => setTimeout(resolve, 400, 'alive')),
    ])
    expect(early).toBe('alive')
    await messages[what]!()
    const ended = await program.ended
    expectCleanEnd(ended)
    expect(ended.stdout).toContain('got late')
    server?.close()
    subscription?.close()
  })

  test('with a broker that listens, although what watches it is unref-ed', async () => {
    const program = start('hold.mjs', ['-', 'broker', subject])
    await program.printed('open ')
    const early = await Promise.race([
      program.ended,
      new Promise(resolve => setTimeout(resolve, 400, 'alive')),
    ])
    expect(early).toBe('alive')
    const port = /open (\d+)/.exec(program.output())![1]
    const far = connect({ address: `http://127.0.0.1:${port}`, noCache: true })
    far.socket.connect(subject).write('late')
    expect((await program.ended).stdout).toContain('got late')
    expectCleanEnd(await program.ended)
    await far.close()
  })
})

describe('what was written right before the end', () => {
  test.each(['client', 'socket only'])('arrives, in order: %s closed', async closes => {
    const server = client.socket.listen('last-words')
    await server.waitUntilReady()
    const seen: unknown[] = []
    const gone = new Promise<void>(resolve => {
      server.once('connection', socket => {
        socket.on('data', data => seen.push(data))
        socket.once('closed', () => resolve())
      })
    })
    const ended = await run('last-words.mjs', [address, 'last-words', '500', closes])
    expectCleanEnd(ended)
    await gone
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i))
    server.close()
  })
})

describe('a process that ends in the tick in which it writes', () => {
  test.each(['exit', 'throw'])('by %s, is heard to the last, and nobody waits for its return', async how => {
    const client = connect({ address, noCache: true })
    const server = client.socket.listen('last-tick')
    await server.waitUntilReady()
    const published = (await client.subscribe('last-tick.published')).next()
    const connection = once(server, 'connection')
    const ended = run('last-tick.mjs', [address, 'last-tick', how])
    const [socket] = await connection
    const [[data], [reason]] = await Promise.all([once(socket, 'data'), once(socket, 'closed')])
    expect([data, (await published).value?.data]).toEqual(['last', 'last'])
    // For good: one that was cut off would be waited for.
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_LOST' })
    expect((await ended).code).toBe(how === 'exit' ? 7 : 1)
    await client.close()
  })
})

describe('process.exit in the middle of traffic', () => {
  test.each(['-', 'port'])('ends with its code and nothing on stderr: %s', async place => {
    const ends = [0, 7, 7].map(code => run('exit.mjs', [place === '-' ? '-' : address, String(code)]))
    const ended = await Promise.all(ends)
    expect(ended.map(({ code, signal, stderr }) => ({ code, signal, stderr }))).toEqual(
      [0, 7, 7].map(code => ({ code, signal: null, stderr: '' })),
    )
  })
})

describe('process.exit while everything is open and quiet', () => {
  // What was left open used to wake somebody while the thread ended: an abort, in about one of three.
  test.each(['-', 'port'])('ends with its code and nothing on stderr: %s', async place => {
    const ends = Array.from({ length: 10 }, () => run('exit-quiet.mjs', [place === '-' ? '-' : address, '7']))
    for (const { code, signal, stderr } of await Promise.all(ends)) {
      expect({ code, signal, stderr }).toEqual({ code: 7, signal: null, stderr: '' })
    }
  })
})

describe('events go on coming', () => {
  test('when the application has replaced its timers', async () => {
    const ended = await run('odd-loop.cjs', ['fake', '20000'])
    expectCleanEnd(ended)
    expect(ended.stdout).toBe('20000\n')
  })

  test('after handing them over has failed once', async () => {
    const ended = await run('odd-loop.cjs', ['throw', '100'])
    expectCleanEnd(ended)
    expect(ended.stdout).toBe('no memory, once\n100\n')
  })
})

describe('a data handler that throws', () => {
  test('ends the process as Node does: status 1, the stack on stderr', async () => {
    const ended = await run('throw.mjs')
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code: 1, stdout: '' })
    expect(ended.stderr).toContain('Error: no 3')
    expect(ended.stderr).toContain('brokenHandler')
  })

  test('the same if it rejects', async () => {
    const ended = await run('throw.mjs', ['async'])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain('Error: no 0')
    expect(ended.stderr).toContain('brokenHandler')
  })

  test('with an uncaughtException handler loses nothing: in order, each once, acknowledged', async () => {
    const ended = await run('throw.mjs', ['handled'])
    expectCleanEnd(ended)
    expect(JSON.parse(ended.stdout)).toEqual({
      seen: Array.from({ length: 40 }, (_, i) => i),
      thrown: ['no 3', 'no 13', 'no 23', 'no 33'],
      unsent: 0,
    })
  })
})

describe('a broker that cannot listen', () => {
  test('says why with `closed`', async () => {
    const ended = await run('taken-port.mjs', [String(broker.address()!.port), 'listen'])
    expectCleanEnd(ended)
    expect(ended.stdout).toBe('EADDRINUSE closed\n')
  })

  test('is an uncaught exception when nobody listens', async () => {
    const ended = await run('taken-port.mjs', [String(broker.address()!.port)])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain('EADDRINUSE')
  })
})
