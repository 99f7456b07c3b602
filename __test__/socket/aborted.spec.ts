// A writer that gives up in the middle: its reader does not take the half for the whole.
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Client, FabricError } from 'selvedge'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { type AnySocket, pair } from '../support/sockets'

const CHUNK = Buffer.alloc(64 * 1024)
const WHOLE = 40 * 1024 * 1024
const HALF = 2 * 1024 * 1024
const GIVEN_UP = { code: 'ERR_SOCKET_ABORTED' }
const ENOUGH = Object.assign(Error('the disk is full'), { code: 'ENOSPC' })

/** Until it is told to stop. */
class Upload {
  /** Resolved by the reader. */
  readonly half: Promise<void>
  #reached: () => void = () => {}
  #read = 0

  constructor() {
    this.half = new Promise(resolve => {
      this.#reached = resolve
    })
  }

  note(bytes: number): void {
    this.#read += bytes
    if (this.#read >= HALF) this.#reached()
  }

  /** Throws `error` behind the half, if there is one. */
  async *source(error?: Error): AsyncGenerator<Buffer> {
    for (let sent = 0; sent < WHOLE; sent += CHUNK.length) {
      if (sent >= HALF && error !== undefined) {
        await this.half
        throw error
      }
      yield CHUNK
    }
  }
}

type Writes = (socket: AnySocket, upload: Upload) => Promise<unknown>

const WRITERS: Record<string, Writes> = {
  'a pipeline aborted by its signal': async (socket, upload) => {
    const controller = new AbortController()
    void upload.half.then(() => controller.abort())
    const { signal } = controller
    await pipeline(Readable.from(upload.source()), socket.toDuplex({ objectMode: false }), { signal })
  },
  'a pipeline whose source throws': (socket, upload) =>
    pipeline(upload.source(ENOUGH), socket.toDuplex({ objectMode: false })),
  'a stream destroyed with an error': async (socket, upload) => {
    const duplex = socket.toDuplex().on('error', () => {})
    Readable.from(upload.source()).pipe(duplex)
    await upload.half
    duplex.destroy(ENOUGH)
  },
  'a stream of a pipeline, destroyed without a reason': async (socket, upload) => {
    const duplex = socket.toDuplex({ objectMode: false })
    const piped = pipeline(upload.source(), duplex)
    await upload.half
    duplex.destroy()
    await piped
  },
  'a stream that was written to, destroyed without a reason': async (socket, upload) => {
    const duplex = socket.toDuplex({ objectMode: false })
    Readable.from(upload.source()).pipe(duplex)
    await upload.half
    duplex.destroy()
  },
  'an aborted stream of the platform': async (socket, upload) => {
    const writer = socket.toWeb().writable.getWriter()
    writer.closed.catch(() => {})
    void (async () => {
      for await (const chunk of upload.source()) {
        await writer.ready
        await writer.write(chunk)
      }
    })().catch(() => {})
    await upload.half
    await writer.abort(ENOUGH)
  },
  'an aborted pipe of the platform': async (socket, upload) => {
    const controller = new AbortController()
    void upload.half.then(() => controller.abort())
    await new ReadableStream({
      pull: sink => sink.enqueue(CHUNK),
    }).pipeTo(socket.toWeb().writable, { signal: controller.signal })
  },
  'a socket destroyed with an error': async (socket, upload) => {
    try {
      for await (const chunk of upload.source(ENOUGH))
        if (!socket.write(chunk)) await socket.waitUntilWritable()
    } catch (error) {
      socket.destroy(error)
    }
  },
}

const READERS: Record<string, (socket: AnySocket, upload: Upload) => Promise<unknown>> = {
  'a loop': async (socket, upload) => {
    for await (const [chunk] of socket) upload.note((chunk as Buffer).length)
  },
  'a stream': async (socket, upload) => {
    for await (const chunk of socket.toDuplex({ objectMode: false })) upload.note(chunk.length)
  },
  'a stream of the platform': async (socket, upload) => {
    for await (const chunk of socket.toWeb().readable) upload.note((chunk as Buffer).length)
  },
}

const outcome = (reading: Promise<unknown>): Promise<FabricError | string> =>
  reading.then(
    () => 'complete',
    error => error as FabricError,
  )

describeFabrics('an upload that is given up in the middle', fabric => {
  for (const [how, write] of Object.entries(WRITERS)) {
    test.each(Object.entries(READERS))(`by ${how} is an error of %s, both ways`, async (_name, read) => {
      for (const isUp of [true, false]) {
        const { host, guest, server, socket } = await pair(fabric)
        const [from, to] = isUp ? [socket, server] : [server, socket]
        const upload = new Upload()
        const closed = once(to, 'closed')
        const reading = outcome(read(to, upload))
        await write(from, upload).catch(() => {})
        const ended = await reading
        expect(ended).toMatchObject(GIVEN_UP)
        expect((ended as FabricError).message).toMatch(
          /gave up.*(ENOSPC|ABORT_ERR|AbortError|before its stream had come to its end)/,
        )
        expect((await closed)[0]).toMatchObject(GIVEN_UP)
        await Promise.all([host.close(), guest.close()])
      }
    })
  }

  test('before anything was written it is one, too', async () => {
    const { server, socket } = await pair(fabric)
    const reading = outcome(READERS['a loop']!(server, new Upload()))
    const answer = socket.toDuplex()
    server.write('a question')
    const answering = pipeline(
      answer,
      // biome-ignore lint/correctness/useYield: it fails before it has an answer
      async function* (questions) {
        for await (const _ of questions) throw ENOUGH
      },
      answer,
    )
    await expect(answering).rejects.toBe(ENOUGH)
    expect(await reading).toMatchObject(GIVEN_UP)
  })

  const ENDS: Record<string, (socket: AnySocket, server: AnySocket) => unknown> = {
    close: socket => socket.close(),
    end: socket => socket.end(),
    'destroy without a reason': socket => socket.destroy(),
    'the end of a stream': socket => socket.toDuplex().end(),
    'an end that is given up': socket => {
      socket
        .toDuplex({ objectMode: false })
        .on('error', () => {})
        .end(CHUNK, () => {})
      void socket.end()
      socket.destroy(ENOUGH)
    },
    'a reader that has enough': async (socket, server) => {
      server.write(1)
      for await (const _ of socket.toDuplex()) break
    },
    'a reader of the platform that has enough': async (socket, server) => {
      server.write(1)
      for await (const _ of socket.toWeb().readable) break
    },
  }

  test.each(Object.entries(ENDS))('%s is in order', async (_name, finish) => {
    const { server, socket } = await pair(fabric)
    const reading = outcome(READERS['a loop']!(server, new Upload()))
    await socket.send(CHUNK)
    await finish(socket, server)
    expect(await reading).toBe('complete')
  })

  const STOPS: Record<string, (client: Client, socket: AnySocket) => unknown> = {
    'close()': (_client, socket) => socket.close(),
    'end()': (_client, socket) => socket.end({ timeout: 1000 }),
    'the close of its client': client => client.close(),
    'the drain of its client': client => client.drain({ deadline: 2000 }),
  }
  const PIPES: Record<string, Writes> = {
    'a pipeline': (socket, upload) => pipeline(upload.source(), socket.toDuplex({ objectMode: false })),
    'a pipe of the platform': socket =>
      new ReadableStream({ pull: sink => sink.enqueue(CHUNK) }).pipeTo(socket.toWeb().writable),
  }

  for (const [how, stop] of Object.entries(STOPS)) {
    for (const [pipe, write] of Object.entries(PIPES)) {
      test.each(Object.entries(READERS))(
        `${how} while ${pipe} writes is an error of %s`,
        async (_name, read) => {
          const { guest, server, socket } = await pair(fabric)
          const upload = new Upload()
          const reading = outcome(read(server, upload))
          const written = outcome(write(socket, upload))
          await upload.half
          void Promise.resolve(stop(guest, socket)).catch(() => {})
          expect(await reading).toMatchObject(GIVEN_UP)
          expect(await written).not.toBe('complete')
        },
      )
    }

    test.each(Object.entries(READERS).filter(([name]) => name !== 'a loop'))(
      `${how} while it is read is an error of %s`,
      async (_name, read) => {
        const { host, server, socket } = await pair(fabric)
        const upload = new Upload()
        const reading = outcome(read(server, upload))
        const written = outcome(PIPES['a pipeline']!(socket, upload))
        await upload.half
        void Promise.resolve(stop(host, server)).catch(() => {})
        expect(await reading).not.toBe('complete')
        expect(await written).not.toBe('complete')
      },
    )
  }

  test('who closes before what has arrived was looked at is no quiet end to loops that begin later', async () => {
    const { server, socket } = await pair(fabric)
    for (let n = 0; n < 10; n += 1) socket.write(n)
    await until(() => server.stats.received >= 10)
    const closed = once(server, 'closed')
    socket.close()
    await closed
    expect(socket.undelivered()).toHaveLength(10)
    const missed = { code: 'ERR_SOCKET_CLOSED_BY_PEER', missing: 10 }
    expect(await outcome(server[Symbol.asyncIterator]().next())).toMatchObject(missed)
    expect(await outcome(server.iter().next())).toMatchObject(missed)
    expect(await outcome(READERS['a stream of the platform']!(server, new Upload()))).toMatchObject(missed)
  })

  test('a reader that fails tells its writer', async () => {
    const { server, socket } = await pair(fabric)
    const closed = once(socket, 'closed')
    const written = outcome(pipeline(new Upload().source(), socket.toDuplex({ objectMode: false })))
    await server.toWeb().readable.cancel(ENOUGH)
    expect((await closed)[0]).toMatchObject(GIVEN_UP)
    expect(await written).toMatchObject(GIVEN_UP)
  })
})
