// How connections begin and end, and what servers know of them.
import { once } from 'node:events'
import { unlinkSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  type Connection,
  connect,
  createSecureServer,
  createServer,
  Draft,
  FileTransfer,
  heartbeat,
  type Message,
  series,
} from 'selvedge/sockety'
import { closeAll, closed, dial, HOST, listen, next, pair, portOf, WAYS } from './pairs'

const CLEAR = WAYS[0]![1]

afterEach(closeAll)

/** Two ends of ours. */
async function ends(options = {}): Promise<{ near: Connection; far: Connection }> {
  const server = await listen(options)
  const accepted = once(server, 'connection') as Promise<[Connection]>
  const near = await dial(portOf(server), options)
  return { near, far: (await accepted)[0] }
}

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

  test('are waited for as long as the caller wants, and go on without', async () => {
    const silent = net.createServer(socket => socket.resume())
    await once(silent.listen(0, HOST), 'listening')
    const connection = connect((silent.address() as net.AddressInfo).port, HOST)
    await expect(connection.ready({ timeout: 10 })).rejects.toMatchObject({
      code: 408,
      message: expect.stringContaining('the connection is not ready'),
    })
    const abort = new AbortController()
    const waited = connection.ready({ signal: abort.signal })
    abort.abort('why')
    await expect(waited).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'why' })
    await expect(connection.ready({ signal: abort.signal })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    await expect(connection.ready({ timeOut: 1 } as object)).rejects.toMatchObject({
      code: 'ERR_UNKNOWN_OPTION',
    })
    const unbounded = connection.ready({})
    void connection.close(true)
    await expect(unbounded).rejects.toMatchObject({ code: expect.any(String) })
    await new Promise(resolve => silent.close(resolve))
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

  test('refuse arguments that would be ignored, and ports that are none', () => {
    const anyConnect = connect as (...args: any[]) => Connection
    for (const [args, code] of [
      [[80, 90], 'ERR_INVALID_ARG_TYPE'],
      [[80, () => {}], 'ERR_INVALID_ARG_TYPE'],
      [[80, HOST, () => {}], 'ERR_INVALID_ARG_TYPE'],
      [[80, HOST, {}, () => {}], 'ERR_INVALID_ARG_TYPE'],
      [[80, {}, {}], 'ERR_INVALID_ARG_TYPE'],
      [[80, []], 'ERR_INVALID_ARG_TYPE'],
      [['/path', 'x'], 'ERR_INVALID_ARG_TYPE'],
      [[{ port: '80x' }], 'ERR_INVALID_ARG_VALUE'],
      [[{ port: true }], 'ERR_INVALID_ARG_TYPE'],
    ] as const) {
      expect(() => anyConnect(...args)).toThrow(expect.objectContaining({ code }))
    }
    expect(() => createServer([] as never)).toThrow(
      'options must be an object of names and values, got array',
    )
    expect(() => createSecureServer({} as never)).toThrow('createSecureServer needs key and cert')
  })

  test('that are closed before they begin say where, and what it may be; by ourselves, nothing', async () => {
    const other = net.createServer(socket => socket.resume().end())
    await new Promise<void>(resolve => other.listen(0, HOST, resolve))
    try {
      const { port } = other.address() as net.AddressInfo
      const connection = connect(port, HOST)
      await expect(connection.ready()).rejects.toMatchObject({ code: 'ECONNRESET' })
      expect(connection.closeReason?.message).toContain(`cannot connect to ${HOST}:${port}: `)
      const ours = connect(port, HOST)
      const ready = ours.ready()
      void ours.close()
      await expect(ready).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      expect(ours.closeReason).toBeNull()
    } finally {
      other.close()
    }
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
    near.on('message', message => message.accept())
    for (let i = 0; i < 20; i++) await near.pass(Draft.for('x').data(Buffer.alloc(50_000))())
    // Its answer comes behind all of them.
    await far.send(Draft.for('arrived')()).response()
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
