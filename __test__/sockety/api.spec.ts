// The interface: both generations of the reference's, and what ours does where it was silent.
import { once } from 'node:events'
import { unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  type Connection,
  connect,
  createSecureServer,
  createServer,
  Draft,
  FastReply,
  FileTransfer,
  getResponseDescription,
  heartbeat,
  isKnownFastReply,
  type Message,
  type Request,
  type Response,
  ResponseDraft,
  series,
  UUID,
} from 'selvedge/sockety'
import { closeAll, closed, dial, HOST, listen, next, pair, portOf, WAYS } from './pairs'

const CLEAR = WAYS[0]![1]
/** Draft methods in any order, as JavaScript has them. */
const anyDraft = (action: string) => Draft.for(action) as any

afterEach(closeAll)

/** Two ends of ours. */
async function ends(options = {}): Promise<{ near: Connection; far: Connection }> {
  const server = await listen(options)
  const accepted = once(server, 'connection') as Promise<[Connection]>
  const near = await dial(portOf(server), options)
  return { near, far: (await accepted)[0] }
}

describe('drafts', () => {
  test('are functions and instances of their class, and change until they are called', async () => {
    const { ours, peer } = await pair(CLEAR)
    const draft = Draft.for('log').data()
    expect([typeof draft, draft instanceof Draft]).toEqual(['function', true])
    expect(draft.optimize()).toBe(draft.createFactory())
    const before = draft.optimize()
    draft.msgpack({ a: 1, b: [true, null, 1.5] })
    expect(draft.optimize()).not.toBe(before)
    await ours.pass((draft as any)())
    const { data } = await peer.wait(({ action }) => action === 'log')
    expect(data.toString('hex')).toBe('de0002a16101a16293c3c0cb3ff8000000000000')
  })

  test('say what is missing, and what is too long', async () => {
    const { ours } = await pair(CLEAR)
    expect(() => anyDraft('a').data()()).toThrow('The message requires "data" property.')
    expect(() => anyDraft('a').msgpack()({})).toThrow('The message requires "data" property.')
    expect(() => anyDraft('a').files()({})).toThrow('The message requires "files" property.')
    expect(() => anyDraft('a').data()({ data: 5 })).toThrow('must be a Buffer or a string')
    expect(() => Draft.for('a'.repeat(65_536))).toThrow("The 'action name' value is too big")
    expect(() => ours.send(Draft.for('a') as never)).toThrow(
      "Raw Draft's factory should be called to build the producer.",
    )
    expect(() => ours.send((() => {}) as never)).toThrow('producer must be what a called draft returns')
    expect(() => ours.send(series() as never)).toThrow('series and heartbeats go to pass()')
  })

  test('refuse what would be lost without a word', async () => {
    for (const [draft, input, text] of [
      [anyDraft('x'), { data: 'lost' }, 'takes no "data" property: the draft has no data()'],
      [anyDraft('x').data('mine'), { data: 'lost' }, 'takes no "data" property: the draft says what'],
      [anyDraft('x').data(), { data: 'a', files: [] }, 'takes no "files" property: the draft has no files()'],
      [new ResponseDraft() as any, { data: 'lost' }, 'takes no "data" property'],
      [anyDraft('x'), 'lost', 'input must be { data, files }, got string'],
      [anyDraft('x').data(), 'lost', 'input must be { data, files }, got string'],
    ]) {
      expect(() => draft(input)).toThrow(text)
    }
    expect(() => anyDraft('x').files()({ files: [FileTransfer.fs(__filename)] })).toThrow(
      'and not a promise: await FileTransfer.fs()',
    )
    await expect(FileTransfer.fs(__dirname)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  })

  test('a producer is sent as often as wanted, each time with a new id', async () => {
    const { ours, peer } = await pair(CLEAR)
    const producer = Draft.for('again').data('x')()
    const ids = [ours.send(producer), ours.send(producer)].map(({ id }) => id.toString())
    await peer.wait(() => peer.got.length === 2)
    expect(peer.got.map(({ id }) => id)).toEqual(ids)
    expect(ids[0]).not.toBe(ids[1])
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  test('a file from a stream is sent once', async () => {
    const { ours, peer } = await pair(CLEAR)
    const files = [FileTransfer.stream(Readable.from([Buffer.from('ab')]), 2, 'n')]
    const producer = Draft.for('once').files(files)()
    await ours.send(producer).sent()
    await peer.wait(({ done }) => done)
    expect(() => ours.send(producer)).toThrow('FileTransfer with stream may be used only once.')
    expect(() => FileTransfer.stream(Readable.from([]), 2 ** 48, 'n')).toThrow('must be an integer from 0')
    expect(() => FileTransfer.buffer(Buffer.alloc(0), 'n'.repeat(65_536))).toThrow(
      "The 'file name' value is too big",
    )
  })
})

describe('answers', () => {
  test('come late and early, to one and to several who ask', async () => {
    const { ours, peer } = await pair(CLEAR)
    const request = ours.send(Draft.for('a')())
    const asked = [request.response(), request.response()]
    await peer.wait(({ action }) => action === 'a')
    peer.fastReply(request.id.toString(), 4)
    expect(await Promise.all(asked)).toEqual([4, 4])
    expect(await request.response()).toBe(4)
    const second = next<Response>(ours, 'response')
    peer.send({ parent: request.id.toString(), data: Buffer.from('more') })
    expect((await (await second).dataBuffer()).toString()).toBe('more')
    expect(await request.response()).toBe(4)
  })

  test('are waited for as long as wanted', async () => {
    const { ours, peer } = await pair(CLEAR)
    const request = ours.send(Draft.for('a')())
    await expect(request.response({ timeout: 20 })).rejects.toMatchObject({ code: 408 })
    const stop = new AbortController()
    const waiting = request.response({ signal: stop.signal })
    stop.abort(Error('no longer'))
    const aborted = { name: 'AbortError', code: 'ABORT_ERR', cause: { message: 'no longer' } }
    await expect(waiting).rejects.toMatchObject(aborted)
    await expect(request.response({ signal: stop.signal })).rejects.toMatchObject(aborted)
    await expect(request.response({ timeout: -1 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    await expect(request.response({ time: 1 } as never)).rejects.toMatchObject({ code: 'ERR_UNKNOWN_OPTION' })
    await peer.wait(({ action }) => action === 'a')
    peer.fastReply(request.id.toString(), 0)
    expect(await request.response({ timeout: 5000 })).toBe(0)
  })

  test('to responses are found by whoever asks, before it comes or after', async () => {
    const { ours, peer } = await pair(CLEAR)
    const responses: ReturnType<Message['respond']>[] = []
    ours.on('message', message => responses.push(message.respond({})))
    for (let n = 0; n < 3; n++) peer.send({ action: 'a' })
    await peer.wait(() => peer.got.length === 3)
    const [early, late, unasked] = responses as [Request, Request, Request]
    const asked = early.response()
    peer.fastReply(early.id.toString(), 7)
    expect(await asked).toBe(7)
    const told = once(ours, 'fastReply')
    peer.fastReply(late.id.toString(), 8)
    await told
    expect([await late.response(), await early.response()]).toEqual([8, 7])
    const waiting = late.response()
    peer.socket.destroy()
    await closed(ours)
    expect(await waiting).toBe(8)
    await expect(unasked.response()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  test('that nobody waits for any more are kept for a while, and are no request that counts', async () => {
    const { ours, peer } = await pair(CLEAR)
    const request = ours.send(Draft.for('a')())
    await expect(request.response({ timeout: 1 })).rejects.toMatchObject({ code: 408 })
    const told = once(ours, 'fastReply')
    peer.fastReply(request.id.toString(), 3)
    await told
    expect(await request.response()).toBe(3)
    // The place of the one that was given up is another's.
    const other = ours.send(Draft.for('b')())
    const late = ours.send(Draft.for('c')())
    await expect(late.response({ timeout: 1 })).rejects.toMatchObject({ code: 408 })
    const next = ours.send(Draft.for('d')())
    for (const [code, { id }] of [other, late, next].entries()) peer.fastReply(id.toString(), code)
    expect(await Promise.all([other.response(), late.response(), next.response()])).toEqual([0, 1, 2])
  })

  test('to messages of others are told, and change nothing', async () => {
    const { ours, peer } = await pair(CLEAR)
    const told = once(ours, 'fastReply')
    peer.fastReply('11111111-2222-4333-8444-555555555555', 9)
    const [uuid, code] = await told
    expect([String(uuid), code]).toEqual(['11111111-2222-4333-8444-555555555555', 9])
  })

  test('in the first generation: an object, and a stream', async () => {
    const { near, far } = await ends()
    far.on('message', async (message: Message) => {
      const files = message.files().map(file => file.name)
      const response = message.respond(
        { data: files.join(), files: [{ name: 'f', buffer: Buffer.from('content') }] },
        true,
      )
      await response.sent()
      response.stream!.write('a')
      response.stream!.end('b')
    })
    const up = Draft.for('up').files()
    const files = [
      { name: 'x', buffer: Buffer.from('1') },
      { name: 'y', stream: Readable.from([Buffer.from('22')]), size: 2 },
    ]
    const response = (await near.send(up({ files })).response()) as Response
    expect((await response.dataBuffer()).toString()).toBe('x,y')
    expect(Buffer.concat(await response.files[0]!.toArray()).toString()).toBe('content')
    expect(Buffer.concat(await response.stream!.toArray()).toString()).toBe('ab')
    expect(() => (far as any).send(1)).toThrow()
  })

  test('do not come to a message whose file cannot be read, and whoever waits is told', async () => {
    const { near, far } = await ends()
    far.on('message', async message => {
      for (const file of message.files) await file.toArray()
      await message.accept()
    })
    const failing = new Readable({ read: () => failing.destroy(new Error('the disk is gone')) })
    const files = [{ name: 'f', stream: failing, size: 3 }]
    const request = near.send(Draft.for('up').files()({ files }))
    const asked = request.response()
    await expect(request.sent()).rejects.toThrow('the disk is gone')
    await expect(asked).rejects.toThrow('the disk is gone')
    await expect(request.response()).rejects.toThrow('the disk is gone')
    expect(await near.send(Draft.for('next')()).response()).toBe(0)
  })

  test('refuse codes that do not exist, and drafts that were not called', async () => {
    const { near, far } = await ends()
    const asked = next<Message>(far, 'message')
    const request = near.send(Draft.for('a')())
    const message = await asked
    await expect(message.fastReply(4096)).rejects.toThrow('Invalid short response code.')
    await expect(message.fastReply(1.5)).rejects.toThrow('Invalid short response code.')
    expect(() => message.respond(new ResponseDraft() as never)).toThrow(
      "Raw ResponseDraft's factory should be called to build the producer.",
    )
    expect(message.responded).toBe(false)
    await message.reject()
    expect([message.responded, await request.response()]).toEqual([true, FastReply.Reject])
  })
})

describe('what a message has', () => {
  test('is there as promised, and files are an array that can be called', async () => {
    const { near, far } = await ends()
    const asked = next<Message>(far, 'message')
    const files = ['a', 'b', 'c'].map(name => ({ name, buffer: Buffer.from(name) }))
    near
      .send(
        Draft.for('all')
          .msgpack({ deep: [1] })
          .files(files)
          .stream()(),
      )
      .stream!.end('s')
    const message = await asked
    expect([message.action, message.expectsResponse, message.dataSize, message.connection === far]).toEqual([
      'all',
      true,
      10,
      true,
    ])
    expect([message.files.length, message.files().length, Object.is(message.files, message.files())]).toEqual(
      [3, 3, true],
    )
    expect(message.files.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect([...message.files].indexOf(message.files[1]!)).toBe(1)
    const [first] = message.files
    expect([first!.size, first!.bytesLeft, first!.receivedSize, first!.loaded]).toEqual([1, 1, 0, false])
    expect((await first!.toArray()).toString()).toBe('a')
    expect([first!.bytesLeft, first!.receivedSize, first!.loaded]).toEqual([0, 1, true])
    expect(await message.msgpack()).toEqual({ deep: [1] })
    expect(message.dataBuffer()).toBe(message.dataBuffer())
    expect([message.data!.size, message.stream!.readable]).toEqual([10, true])
    message.discard(true)
    await expect(message.files[2]!.toArray()).rejects.toThrow()
  })

  test('and nothing else', async () => {
    const { near, far } = await ends()
    const asked = next<Message>(far, 'message')
    await near.pass(Draft.for('bare')())
    const message = await asked
    expect([message.data, message.stream, message.files.length, message.expectsResponse]).toEqual([
      null,
      null,
      0,
      false,
    ])
    expect((await message.dataBuffer()).length).toBe(0)
    await expect(message.msgpack()).rejects.toMatchObject({ code: 'ERR_DECODE' })
  })

  test.each([5, 100_000])('is read in one way: %i bytes', async size => {
    const { near, far } = await ends()
    const asked = next<Message>(far, 'message')
    near.send(Draft.for('x').data(Buffer.alloc(size, 1))())
    const message = await asked
    expect(Buffer.concat(await message.data!.toArray()).length).toBe(size)
    await expect(message.dataBuffer()).rejects.toMatchObject({ code: 'ERR_SOCKETY_DISCARDED' })
  })

  test('has a bound in memory, and none as a stream', async () => {
    const { near, far } = await ends({ maxDataBufferBytes: 100_000 })
    const asked = next<Message>(far, 'message')
    void near.pass(Draft.for('big').data(Buffer.alloc(100_001))())
    const message = await asked
    await expect(message.dataBuffer()).rejects.toMatchObject({ code: 'ERR_SOCKETY_LIMIT' })
    let size = 0
    for await (const chunk of message.data!) size += chunk.length
    expect(size).toBe(100_001)
  })
})

describe('connections', () => {
  test('are ready before they send', async () => {
    const server = await listen()
    const connection = connect(portOf(server), HOST)
    expect(() => connection.send(Draft.for('early')())).toThrow('The connection is not established yet.')
    expect(() => connection.pass(Draft.for('early')())).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKETY_NOT_CONNECTED' }),
    )
    expect(await connection.ready()).toBe(connection)
    await connection.close(true)
  })

  test('that cannot be had say why', async () => {
    const server = await listen()
    const port = portOf(server)
    await server.close()
    const connection = connect({ port, host: HOST })
    const error = once(connection, 'error')
    await expect(connection.ready()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await error)[0]).toMatchObject({ code: 'ECONNREFUSED' })
    await expect(connection.ready()).rejects.toThrow('The connection is already closed')
    await connection.close()
  })

  test('say where they could not go, and what is no path', async () => {
    const gone = await listen()
    const port = portOf(gone)
    await gone.close()
    await expect(connect(port, HOST).ready()).rejects.toThrow(`cannot connect to ${HOST}:${port}: `)
    await expect(connect(port, '::1').ready()).rejects.toThrow(`cannot connect to [::1]:${port}: `)
    await expect(connect('/no/such/socket').ready()).rejects.toThrow('cannot connect to /no/such/socket: ')
    for (const path of ['tcp://localhost:7000', 'localhost:7000', '127.0.0.1:80', '[::1]:80']) {
      expect(() => connect(path)).toThrow('a socket in the file system, or use (port, host)')
    }
    expect(() => createSecureServer(undefined as never)).toThrow('options must be an object, got undefined')
    await expect(gone.broadcast(Draft.for('x')(), 5 as never)).rejects.toThrow('filter must be a function')
  })

  test('are made in every form of arguments', async () => {
    const path = join(tmpdir(), `selvedge-sockety-${process.pid}.sock`)
    const atPath = createServer(connection => connection.on('message', message => message.accept()))
    await atPath.listen(path)
    const atPort = createServer({}, connection => connection.on('message', message => message.reject()))
    await atPort.listen({ port: 0, host: HOST }, () => {})
    const { port } = atPort.address() as { port: number }
    const all = [
      connect(path),
      connect({ path, timeout: 1000 }),
      connect(port, HOST),
      connect({ port, host: HOST }),
      connect(port, HOST, { maxWritableChannels: 2 }),
      connect(port, { host: HOST }),
    ]
    const answers = []
    for (const connection of all) {
      await connection.ready()
      answers.push(await connection.send(Draft.for('who')()).response())
    }
    expect(answers).toEqual([0, 0, 1, 1, 1, 1])
    const closing = [atPath.close(), atPort.close()]
    for (const connection of all) await connection.close()
    await Promise.all(closing)
    expect(() => unlinkSync(path)).toThrow('ENOENT')
  })

  test.each([
    [{ port: 1, maxReceivedChannels: 0 }, 'Used over maximum channels'],
    [{ port: 1, maxWritableChannels: 4097 }, 'Invalid number of channels'],
    [{ port: 1, timeout: -1 }, 'timeout must be at least 0'],
    [{ port: 1, pfx: 'x' }, "connect has no option 'pfx'"],
    [{}, 'connect needs a port or a path'],
    [{ port: 70_000 }, 'port must be an integer from 0 to 65535'],
  ])('refuse %j at once', (options, text) => {
    expect(() => connect(options as never)).toThrow(text)
  })

  test('pass one after another, in series, and heartbeats', async () => {
    const { ours, peer } = await pair(CLEAR)
    const [a, b] = [Draft.for('a')(), Draft.for('b').data('x')()]
    const files = [FileTransfer.stream(Readable.from([Buffer.from('f')]), 1, 'f')]
    await ours.pass(series(a, heartbeat, Draft.for('file').files(files)(), series(b, a)))
    await ours.pass(series())
    await peer.wait(() => peer.got.length === 4)
    expect(peer.got.map(({ action, expects }) => [action, expects])).toEqual([
      ['a', false],
      ['file', false],
      ['b', false],
      ['a', false],
    ])
    expect(peer.heartbeats).toBe(1)
  })

  test('discard what nobody listens for', async () => {
    const { near, far } = await ends({ maxUnreadBytes: 100_000 })
    for (let i = 0; i < 20; i++) await near.pass(Draft.for('x').data(Buffer.alloc(50_000))())
    const asked = next<Message>(far, 'message')
    await near.pass(Draft.for('heard')())
    expect((await asked).action).toBe('heard')
  })
})

describe('servers', () => {
  test('know their clients, and close when those are gone', async () => {
    const server = await listen()
    const [a, b] = [await dial(portOf(server)), await dial(portOf(server))]
    while (server.clients.length < 2) await once(server, 'connection')
    expect([server.connections, await server.getConnections(), server.listening]).toEqual([2, 2, true])
    expect(server.clients[0]!.remoteAddress).toBe(HOST)
    const got = [next<Message>(a, 'message'), next<Message>(b, 'message')]
    await server.broadcast(Draft.for('all')())
    expect((await Promise.all(got)).map(({ action }) => action)).toEqual(['all', 'all'])
    await server.broadcast(Draft.for('none')(), () => false)
    const closing = server.close()
    await expect(server.close()).rejects.toMatchObject({ code: 'ERR_SERVER_NOT_RUNNING' })
    await a.close()
    await b.close()
    expect(await closing).toBe(server)
    expect([server.clients, server.listening, server.address()]).toEqual([[], false, null])
    await expect(server.close()).rejects.toThrow('Server is not running.')
    await server.listen(0, HOST)
  })

  test('say why they cannot listen', async () => {
    const server = await listen()
    const second = createServer()
    const error = once(second, 'error')
    await expect(second.listen(portOf(server), HOST)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect((await error)[0]).toMatchObject({ code: 'EADDRINUSE' })
    await expect(server.listen(0)).rejects.toMatchObject({ code: 'ERR_SERVER_ALREADY_LISTEN' })
    await expect(second.listen({} as never)).rejects.toThrow('listen needs a port or a path')
  })

  test('keep a bound on connections', async () => {
    const server = await listen()
    server.maxConnections = 1
    await dial(portOf(server))
    const refused = connect(portOf(server), HOST)
    refused.on('error', () => {})
    await closed(refused)
    expect(server.connections).toBe(1)
  })
})

test('fast replies have names, and ids have bytes', () => {
  expect([FastReply.Accept, FastReply[5]]).toEqual([0, 'InternalError'])
  expect([isKnownFastReply(5), isKnownFastReply(6)]).toEqual([true, false])
  expect([2, 77].map(getResponseDescription)).toEqual(['Not Implemented', 'Custom #77'])
  const bytes = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
  const uuid = new UUID(bytes)
  expect([String(uuid), JSON.stringify({ uuid })]).toEqual([
    '00112233-4455-6677-8899-aabbccddeeff',
    '{"uuid":"00112233-4455-6677-8899-aabbccddeeff"}',
  ])
  expect([uuid.toBuffer().equals(bytes), uuid.equals(new UUID(bytes, 0))]).toEqual([true, true])
  expect(() => new UUID(bytes, 1)).toThrow('Out of bounds: can not read UUID.')
})
