// What interop.spec.ts shows of the client of pages in Node.js, in a real one: values, errors, requests both ways, back-pressure,
// a connection that is cut, and who is in a room.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { type Client, type ConatServer, type ConatSocketServer, init, type ServerSocket } from 'selvedge'
import { faultProxy } from 'selvedge/testing'
import { chromium, launch } from '../support/chromium'
import { listening, numbers } from '../support/sockets'

const SCRIPT = readFileSync(join(__dirname, '../../dist/browser/selvedge.iife.js'))

const describeInChromium = chromium === undefined ? describe.skip : describe

describeInChromium('a client in a real page', () => {
  let http: Server
  let browser: Browser
  let tab: Page
  let broker: ConatServer
  let host: Client
  let listener: ConatSocketServer
  let address: string

  beforeAll(async () => {
    http = createServer(({ url }, response) =>
      url === '/selvedge.iife.js'
        ? response.setHeader('content-type', 'text/javascript').end(SCRIPT)
        : response.setHeader('content-type', 'text/html').end('<script src="/selvedge.iife.js"></script>'),
    )
    await once(http.listen(0, '127.0.0.1'), 'listening')
    const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    broker = init({ port: 0, host: '127.0.0.1', allowedOrigins: [origin] })
    await broker.waitUntilReady()
    address = `http://127.0.0.1:${broker.address()!.port}`
    host = broker.client()
    listener = await listening(host, 'chat')
    browser = await launch()
    tab = await browser.newPage()
    await tab.goto(origin)
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    await host?.close()
    await broker?.close()
    await new Promise(resolve => http.close(resolve))
  })

  /** A socket from the page, `socket` there, on both sides ready. */
  async function joined(at = address): Promise<ServerSocket> {
    const connection = once(listener, 'connection') as Promise<[ServerSocket]>
    await tab.evaluate(async address => {
      const client = (globalThis as any).selvedge.connect({ address, reconnectionDelay: 5 })
      Object.assign(globalThis, { client, socket: client.socket.connect('chat', { maxQueueSize: 100 }) })
      await (globalThis as any).socket.waitUntilReady()
    }, at)
    return (await connection)[0]
  }

  test('has every value as it was, and is told what cannot be', async () => {
    await joined()
    const echo = await host.subscribe('echo')
    echo.emitter.on('message', message => message.respondSync(message.data, { headers: message.headers }))
    const outcome = await tab.evaluate(async () => {
      const { client } = globalThis as any
      const wrong: unknown[] = []
      for (const value of [null, true, -1, 2 ** 40, 1.5, '', 'ü🦀\ufeff', [1, [2]], { a: { b: [] } }]) {
        const { data, headers } = await client.request('echo', value, { headers: { n: 1 } })
        if (JSON.stringify([data, headers]) !== JSON.stringify([value, { n: 1 }])) wrong.push([value, data])
      }
      const bytes = Uint8Array.from({ length: 900_000 }, (_, i) => i)
      const { data } = await client.request('echo', { bytes })
      if (
        !(data.bytes instanceof Uint8Array) ||
        data.bytes.some((byte: number, i: number) => byte !== bytes[i])
      )
        wrong.push('bytes')
      const date = (await client.request('echo', new Date(7))).data
      if (!(date instanceof Date) || date.getTime() !== 7) wrong.push('date')
      const code = (action: Promise<unknown>): Promise<unknown> =>
        action.then(
          () => 'none',
          error => error.code,
        )
      const codes = [
        await code(client.request('nobody')),
        await code(client.request('echo', 1, { signal: AbortSignal.abort() })),
        await code(client.publish('a.*')),
        await code(client.publish('a', new Map())),
        await code(client.publish('a', 1, { headerz: {} })),
      ]
      await client.close()
      return { wrong, codes: [...codes, await code(client.publish('a'))] }
    })
    expect(outcome).toEqual({
      wrong: [],
      codes: [503, 'ABORT_ERR', 'ERR_INVALID_SUBJECT', 'ERR_ENCODE', 'ERR_UNKNOWN_OPTION', 'ERR_CLOSED'],
    })
    echo.close()
  })

  test('asks and answers over its socket, is slowed down, and ends in order', async () => {
    const server = await joined()
    const got: number[] = []
    server.on('request', request => request.respondSync({ got: request.data }))
    const asked = await tab.evaluate(async () => {
      const { socket } = globalThis as any
      socket.on('request', (request: any) => request.respondSync(request.data + 1))
      return (await socket.request('?')).data
    })
    expect([asked, (await server.request(41)).data]).toEqual([{ got: '?' }, 42])
    server.pause()
    server.on('data', n => got.push(n))
    const code = await tab.evaluate(() => {
      const { socket } = globalThis as any
      try {
        for (let n = 1; n <= 101; n++) socket.write(n)
      } catch (error) {
        return (error as { code: string }).code
      }
      return 'none'
    })
    expect(code).toBe('ENOBUFS')
    server.resume()
    const closed = once(server, 'closed')
    expect(
      await tab.evaluate(async () => {
        const { socket } = globalThis as any
        await socket.end()
        return [socket.state, socket.undelivered()]
      }),
    ).toEqual(['closed', []])
    expect((await closed)[0]).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', undelivered: 0 })
    expect(got).toEqual(numbers(1, 100))
  })

  test('has everything once and in order while its connection is cut, and knows who is in a room', async () => {
    const proxy = await faultProxy({ target: address })
    const server = await joined(proxy.address)
    server.join('lobby', { key: 'page' })
    listener.room('lobby').watch(server)
    const got: number[] = []
    server.on('data', n => {
      got.push(n)
      server.write(n)
    })
    const all = tab.evaluate(async () => {
      const { socket, selvedge } = globalThis as any
      const lobby = selvedge.watchRoom(socket, 'lobby')
      const back: number[] = []
      const whole = new Promise<void>(resolve => {
        socket.on('data', (n: number) => {
          back.push(n)
          if (back.length === 1000) resolve()
        })
      })
      for (let n = 1; n <= 1000; n++) if (!socket.write(n)) await socket.waitUntilWritable()
      await whole
      return { back, members: [...lobby.members.keys()] }
    })
    await once(server, 'data')
    await proxy.cut()
    expect(await all).toEqual({ back: numbers(1, 1000), members: ['page'] })
    expect(got).toEqual(numbers(1, 1000))
    await tab.evaluate(() => (globalThis as any).client.close())
    await proxy.close()
  })
})
