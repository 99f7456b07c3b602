// Between the fabric and TCP: bytes, halves, resets and codes go through `expose` and `forward`, at any speed.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import nodeNet from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { over, sockets } from 'selvedge/net'
import { closed, failure, portOf, until } from '../support/events'
import { describeFabricsAndWebSocket } from '../support/fabrics'

async function tcp(listener: (socket: nodeNet.Socket) => void): Promise<nodeNet.Server> {
  const server = nodeNet.createServer({ allowHalfOpen: true }, listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

let files = 0

describeFabricsAndWebSocket('bridges', fabric => {
  let net = {} as ReturnType<typeof over>
  beforeEach(() => {
    net = over(fabric.client())
  })
  afterEach(() => until(() => sockets().length === 0))

  test('TCP over the fabric to TCP: megabytes, both halves, to the last byte', async () => {
    const target = await tcp(socket => {
      // The answer follows the end of the question: its hash.
      const hash = createHash('sha256')
      socket.on('data', chunk => hash.update(chunk)).on('end', () => socket.end(hash.digest('hex')))
    })
    const exposed = net.expose('db', { port: portOf(target) })
    await once(exposed, 'listening')
    const door = net.forward('db', { port: 0 })
    await once(door, 'listening')
    const bytes = randomBytes(5_000_000)
    const socket = nodeNet.connect({ port: portOf(door), allowHalfOpen: true })
    const answer = (async () => {
      let text = ''
      for await (const chunk of socket) text += chunk
      return text
    })()
    await pipeline(Readable.from([bytes]), socket, { end: true })
    expect(await answer).toBe(createHash('sha256').update(bytes).digest('hex'))
    await until(() => exposed.stats.active === 0 && door.stats.active === 0)
    const counts = { connections: 1, active: 0, refused: 0, bytesIn: bytes.length, bytesOut: 64 }
    expect([exposed.stats, door.stats]).toEqual([counts, counts])
    await Promise.all([closed(door.close()), closed(exposed.close()), closed(target.close())])
  })

  test.each([
    ['a place', false],
    ['a stream of the program', true],
  ])('one side has ended, and the other one goes on to its last byte: %s', async (_, isStream) => {
    const came = createHash('sha256')
    const target = await tcp(socket => {
      socket.end('answered').on('data', chunk => came.update(chunk))
      socket.on('end', () => target.emit('whole'))
    })
    const place = { port: portOf(target) }
    const exposed = net.expose('db', isStream ? () => nodeNet.connect(place) : place)
    await once(exposed, 'listening')
    const door = net.forward('db', { port: 0 })
    await once(door, 'listening')
    const whole = once(target, 'whole')
    const socket = nodeNet.connect({ port: portOf(door), allowHalfOpen: true })
    await once(socket.resume(), 'end')
    const bytes = randomBytes(1_000_000)
    socket.end(bytes)
    await whole
    expect(came.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
    await Promise.all([closed(door.close()), closed(exposed.close()), closed(target.close())])
  })

  test('a Unix socket, both ways', async () => {
    const file = (): string => join(tmpdir(), `selvedge-bridge-${process.pid}-${++files}.sock`)
    const target = nodeNet.createServer({ allowHalfOpen: true }, socket => socket.pipe(socket))
    const path = file()
    await once(target.listen(path), 'listening')
    const exposed = net.expose('unix', { path })
    await once(exposed, 'listening')
    const place = file()
    const door = net.forward('unix', { path: place })
    await once(door, 'listening')
    const socket = nodeNet.connect(place)
    socket.end('through')
    expect(String((await once(socket, 'data'))[0])).toBe('through')
    await closed(socket)
    await Promise.all([closed(door.close()), closed(exposed.close()), closed(target.close())])
  })

  test('a reset ends a Unix socket, which knows none', async () => {
    const path = join(tmpdir(), `selvedge-bridge-${process.pid}-${++files}.sock`)
    const accepted: nodeNet.Socket[] = []
    const target = nodeNet.createServer({ allowHalfOpen: true }, socket => accepted.push(socket.resume()))
    await once(target.listen(path), 'listening')
    const exposed = net.expose('unix', { path })
    await once(exposed, 'listening')
    const here = net.connect('unix')
    await Promise.all([once(here, 'connect'), until(() => accepted.length === 1)])
    const end = once(accepted[0]!, 'end')
    here.resetAndDestroy()
    await end
    accepted[0]!.end()
    await Promise.all([closed(exposed.close()), closed(target.close())])
  })

  test('the connecting end gets the code of the dial, and TCP is reset', async () => {
    const free = await tcp(() => {})
    const port = portOf(free)
    await closed(free.close())
    const exposed = net.expose('gone', { port })
    const nowhere = net.expose('nowhere', { path: join(tmpdir(), 'selvedge-nobody.sock') })
    await Promise.all([once(exposed, 'listening'), once(nowhere, 'listening')])
    expect(await failure(net.connect('gone'))).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' })
    expect(await failure(net.connect('nowhere'))).toMatchObject({ code: 'ENOENT', syscall: 'connect' })
    const door = net.forward('gone', { port: 0 })
    await once(door, 'listening')
    const socket = nodeNet.connect(portOf(door))
    expect(await failure(socket)).toMatchObject({ code: 'ECONNRESET' })
    expect([exposed.stats.refused, door.stats.refused]).toEqual([2, 1])
    await Promise.all([closed(door.close()), closed(exposed.close()), closed(nowhere.close())])
  })

  test('allow refuses, and a function makes any stream', async () => {
    const exposed = net.expose('echo', () => new PassThrough(), {
      allow: async ({ subject }) => subject === 'echo' && exposed.stats.refused > 0,
    })
    await once(exposed, 'listening')
    expect(await failure(net.connect('echo'))).toMatchObject({ code: 'EACCES' })
    const socket = net.connect('echo')
    socket.end('again')
    expect(String((await once(socket, 'data'))[0])).toBe('again')
    await closed(socket)
    await closed(exposed.close())
  })

  test('resets are resets, on both sides', async () => {
    const accepted: nodeNet.Socket[] = []
    const target = await tcp(socket => accepted.push(socket.on('error', () => {})))
    const exposed = net.expose('db', { port: portOf(target) })
    await once(exposed, 'listening')
    const here = net.connect('db')
    await once(here, 'connect')
    await until(() => accepted.length === 1)
    accepted[0]!.resetAndDestroy()
    expect(await failure(here)).toMatchObject({ code: 'ECONNRESET', syscall: 'read' })
    const there = net.connect('db')
    await once(there, 'connect')
    await until(() => accepted.length === 2)
    const lost = failure(accepted[1]!.resume())
    there.resetAndDestroy()
    expect(await lost).toMatchObject({ code: 'ECONNRESET' })
    await Promise.all([closed(exposed.close()), closed(target.close())])
  })

  test('a reader that stops holds up a writer on the other network', async () => {
    let reader: nodeNet.Socket | undefined
    // A Unix socket, for which the kernel keeps a fifth of a megabyte, and not several as for TCP: each half of the window is a
    // round trip over all that lies between.
    const path = join(tmpdir(), `selvedge-bridge-${process.pid}-${++files}.sock`)
    const target = nodeNet.createServer({ allowHalfOpen: true }, socket => {
      reader = socket.pause()
    })
    await once(target.listen(path), 'listening')
    const exposed = net.expose('slow', { path }, { window: 64 * 1024 })
    await once(exposed, 'listening')
    const here = net.connect('slow', { window: 64 * 1024 })
    await once(here, 'connect')
    const total = 2 * 1024 * 1024
    here.end(Buffer.alloc(total))
    // Kernel buffers fill, then the window: it stands still.
    let before = -1
    while (here.writableLength > 0 && before !== exposed.stats.bytesIn) {
      before = exposed.stats.bytesIn
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect(exposed.stats.bytesIn).toBeLessThan(total)
    expect(here.writableLength).toBeGreaterThan(0)
    let read = 0
    reader!.on('data', chunk => {
      read += chunk.length
    })
    reader!.resume()
    await once(reader!, 'end')
    expect(read).toBe(total)
    reader!.end()
    await closed(here.resume())
    await Promise.all([closed(exposed.close()), closed(target.close())])
  })

  test('a drain whose signal is aborted goes on, and one that was aborted before does nothing', async () => {
    const target = await tcp(socket => socket.on('end', () => socket.end()).resume())
    const exposed = net.expose('db', { port: portOf(target) })
    await once(exposed, 'listening')
    const door = net.forward('db', { port: 0 })
    await once(door, 'listening')
    const here = net.connect('db')
    await once(here, 'connect')
    for (const bridge of [exposed, door]) {
      const call = async (): Promise<void> => bridge.drain({ signal: AbortSignal.abort('why') })
      await expect(call()).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'why' })
      expect(bridge.listening).toBe(true)
      await expect((async () => bridge.drain({ signal: 1 as never }))()).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      })
    }
    const controller = new AbortController()
    const drained = exposed.drain({ signal: controller.signal })
    controller.abort()
    await expect(drained).rejects.toMatchObject({ code: 'ABORT_ERR' })
    expect([exposed.listening, exposed.stats.active]).toEqual([false, 1])
    here.end()
    await Promise.all([closed(here.resume()), exposed.drain(), door.drain(), closed(target.close())])
    expect(exposed.stats.active).toBe(0)
  })

  test('a drain waits for the side behind, and what is still to be passed on there', async () => {
    let finish = (): void => {}
    const inner = new Duplex({
      read: () => {},
      write: (_chunk, _encoding, done) => done(),
      final: done => {
        finish = done
        inner.emit('told')
      },
    })
    const exposed = net.expose('slow', () => inner)
    await once(exposed, 'listening')
    const here = net.connect('slow')
    await once(here, 'connect')
    const ended = once(inner, 'told')
    here.end('bytes')
    inner.push(null)
    await Promise.all([closed(here.resume()), ended])
    let isDrained = false
    const drained = exposed.drain().then(() => {
      isDrained = true
    })
    await once(exposed, 'close')
    await new Promise(setImmediate)
    expect([isDrained, exposed.stats.active]).toEqual([false, 1])
    finish()
    await drained
    expect(exposed.stats.active).toBe(0)
  })

  test('a drain of a door waits for what the subject has not taken', async () => {
    const total = 300_000
    let there: { resume(): unknown } | undefined
    let came = 0
    const server = net.createServer({ allowHalfOpen: true }, socket => {
      there = socket.on('data', chunk => (came += chunk.length)).pause()
      socket.end()
    })
    await once(server.listen('full'), 'listening')
    const door = net.forward('full', { port: 0 }, { window: 32 * 1024, highWaterMark: 1024 * 1024 })
    await once(door, 'listening')
    const socket = nodeNet.connect(portOf(door))
    socket.end(Buffer.alloc(total))
    await closed(socket.resume())
    let isDrained = false
    const drained = door.drain().then(() => {
      isDrained = true
    })
    await once(door, 'close')
    await new Promise(setImmediate)
    expect([isDrained, door.stats.active, came]).toEqual([false, 1, 0])
    there!.resume()
    await drained
    await until(() => came === total)
    await closed(server.close())
  })

  test('drain cuts off at its deadline', async () => {
    const target = await tcp(socket => socket.on('error', () => {}).resume())
    const exposed = net.expose('db', { port: portOf(target) })
    await once(exposed, 'listening')
    const door = net.forward('db', { port: 0 })
    await once(door, 'listening')
    const [here, outside] = [net.connect('db'), nodeNet.connect(portOf(door))]
    await Promise.all([once(here, 'connect'), until(() => exposed.stats.active === 2)])
    const [cut, outsideCut] = [failure(here), failure(outside)]
    await Promise.all([exposed.drain({ deadline: 20 }), door.drain({ deadline: 20 })])
    expect([await cut, await outsideCut]).toMatchObject([{ code: 'ECONNRESET' }, { code: 'ECONNRESET' }])
    await closed(target.close())
  })
})
