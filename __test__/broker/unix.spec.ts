// Brokers and clients over a socket in the file system.
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join as path } from 'node:path'
import { connect, init } from 'selvedge'
import { rejection } from '../support/messages'
import { join, listening, take } from '../support/sockets'

const onUnix = process.platform === 'win32' ? describe.skip : describe

onUnix('a socket in the file system', () => {
  let folder: string
  let file: string

  beforeEach(() => {
    folder = mkdtempSync(path(tmpdir(), 'selvedge-'))
    file = path(folder, 'broker.sock')
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test.each([
    ['unix:', 'conat'],
    ['unix://', 'selvedge'],
    ['unix:', undefined],
  ] as const)(
    'takes clients of %s and wire %s, is for its owner, and goes with its broker',
    async (scheme, wire) => {
      await using broker = init({ socketPath: file })
      await broker.waitUntilReady()
      expect(broker.address()).toMatchObject({ address: file, family: 'Unix', port: 0 })
      expect(`${broker.address()}`).toBe(`unix:${file}`)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      await using host = connect({ address: scheme + file, noCache: true, wire })
      await using guest = connect({ address: scheme + file, noCache: true, wire })
      const [server, socket] = await join(await listening(host, 'chat'), guest)
      socket.write('hello')
      expect(await take(server, 1)).toEqual(['hello'])
      await broker.close()
      expect(existsSync(file)).toBe(false)
    },
  )

  test('may have other permissions', async () => {
    await using broker = init({ socketPath: file, socketMode: 0o666 })
    await broker.waitUntilReady()
    expect(statSync(file).mode & 0o777).toBe(0o666)
  })

  test('answers HTTP', async () => {
    await using broker = init({ socketPath: file })
    await broker.waitUntilReady()
    const [response] = await once(request({ socketPath: file, path: '/healthz' }).end(), 'response')
    response.resume()
    expect(response.statusCode).toBe(200)
  })

  test('of a living process is left alone, and so is a file', async () => {
    await using broker = init({ socketPath: file })
    await broker.waitUntilReady()
    expect(await rejection(init({ socketPath: file }).waitUntilReady())).toMatchObject({ code: 'EADDRINUSE' })
    await using client = connect({ address: `unix:${file}`, noCache: true })
    await client.waitUntilReady()
    const other = path(folder, 'file')
    writeFileSync(other, 'mine')
    expect(await rejection(init({ socketPath: other }).waitUntilReady())).toMatchObject({
      code: 'EADDRINUSE',
    })
    const nowhere = path(folder, 'no', 'folder')
    expect(await rejection(init({ socketPath: nowhere }).waitUntilReady())).toMatchObject({ code: 'ENOENT' })
  })

  test('that is not there is told, and found when it comes', async () => {
    await using client = connect({ address: `unix:${file}`, noCache: true, reconnectionDelay: 5 })
    expect((await once(client, 'connectFailed'))[0]).toMatchObject({ code: 'ENOENT' })
    await using broker = init({ socketPath: file })
    await broker.waitUntilReady()
    await client.waitUntilReady()
  })

  test('is not taken for something else', async () => {
    for (const options of [{ socketPath: file, port: 0 }, { socketPath: '' }]) {
      expect(() => init(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    }
    expect(() => init({ socketMode: 0o7777 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
    for (const address of ['unix:', 'unix://']) {
      expect(() => connect({ address, noCache: true })).toThrow(/unix socket without a path/)
    }
    // Whoever listens there speaks something else.
    const stranger = createServer(socket => socket.end('220 smtp\r\n')).listen(file)
    await once(stranger, 'listening')
    await using client = connect({ address: `unix:${file}`, noCache: true })
    const [reason] = await once(client, 'connectFailed')
    expect(reason.code).toMatch(/^ERR_(CONNECT|REFUSED)$/)
    await client.close()
    stranger.close()
  })
})
