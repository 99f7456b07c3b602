// A real page: Chromium without a screen, with packets over a WebSocket to a server here. Where there is no Chromium it says so.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import {
  overWebSocket,
  Packet,
  PacketRegistry,
  PacketServer,
  type PacketSocket,
  packed,
  ValidationError,
} from 'selvedge/packets'
import { WebSocketServer } from 'ws'
import { chromium, launch } from '../support/chromium'
import { pageBundle } from './page-bundle'

/** The schemas of both sides, as a page has them: as JSON. */
const SCHEMAS = {
  Chat: { room: 'string', text: 'string', 'at?': 'float64', tags: ['string'] },
  Where: { id: 'uint32' },
  Blob: { bytes: 'buffer', any: 'packed' },
} as const
const RESULTS = { Where: { x: 'float32', y: 'float32' } } as const

const Chat = Packet(SCHEMAS.Chat)
const Where = Packet(SCHEMAS.Where, { result: RESULTS.Where })
const Blob = Packet({ bytes: 'buffer', any: packed() })
const registry = new PacketRegistry({ Chat, Where, Blob })

const page = (csp: string | undefined) => ({
  headers: { 'content-type': 'text/html', ...(csp && { 'content-security-policy': csp }) },
  body: '<!doctype html><title>packets</title><script src="/packets.js"></script>',
})

const describeInChromium = chromium === undefined ? describe.skip : describe

describeInChromium.each([
  ['that may generate code', undefined],
  ['whose policy forbids generated code', "default-src 'self'; connect-src *"],
])('a page %s', (_, csp) => {
  let http: Server
  let web: WebSocketServer
  let server: PacketServer
  let browser: Browser
  let tab: Page
  let url: string
  const problems: string[] = []

  beforeAll(async () => {
    const bundle = pageBundle()
    http = createServer(({ url }, response) => {
      if (url === '/packets.js') response.setHeader('content-type', 'text/javascript').end(bundle)
      else response.writeHead(200, page(csp).headers).end(page(csp).body)
    })
    web = new WebSocketServer({ server: http })
    server = new PacketServer(web, registry, { link: overWebSocket })
    await once(http.listen(0, '127.0.0.1'), 'listening')
    url = `127.0.0.1:${(http.address() as AddressInfo).port}`
    browser = await launch()
  }, 60_000)

  beforeEach(async () => {
    tab = await browser.newPage()
    tab.on('pageerror', error => problems.push(String(error)))
    await tab.goto(`http://${url}/`)
  }, 60_000)

  afterEach(async () => {
    await tab.close()
    expect(problems.splice(0)).toEqual([])
  })

  afterAll(async () => {
    await browser.close()
    await server.close()
    await new Promise(resolve => web.close(resolve))
    await new Promise(resolve => http.close(resolve))
  })

  /** A page that is connected; `socket` there is its PacketSocket, `seen` what was posted to it. */
  async function connected(): Promise<PacketSocket> {
    const connection = once(server as never, 'connection')
    await tab.evaluate(
      ({ url, schemas, results }) => {
        const { Packet, PacketRegistry, PacketSocket, overWebSocket } = (globalThis as any).packets
        const classes = Object.fromEntries(
          Object.entries(schemas).map(([name, schema]) => [
            name,
            Packet(schema, { result: (results as any)[name] }),
          ]),
        )
        const socket = new PacketSocket(
          overWebSocket(new (globalThis as any).WebSocket(`ws://${url}`)),
          new PacketRegistry(classes),
        )
        const seen: unknown[] = []
        socket.handle(classes.Chat, ({ data }: any) => {
          seen.push(data.text)
          return `${data.text}!`
        })
        Object.assign(globalThis, { socket, seen })
      },
      { url, schemas: SCHEMAS, results: RESULTS },
    )
    return ((await connection) as [PacketSocket])[0]
  }

  test('sends and answers, with texts, floats and bytes as here', async () => {
    const stop = [
      server.handle(Where, ({ data }) => ({ x: data.id / 4, y: -1.5 })),
      server.handle(Blob, ({ data }) => ({
        size: data.bytes.length,
        first: data.bytes[0],
        any: data.any,
        back: data.bytes,
      })),
      server.handle(Chat, ({ data }) => data.text),
    ]
    const socket = await connected()
    const told = await tab.evaluate(async () => {
      const { socket } = globalThis as any
      const texts = ['', 'a', 'ü', '🦀', '\ufeffmark', 'x'.repeat(300), '語'.repeat(300)]
      const echoes = await Promise.all(
        texts.map(text => socket.send(['Chat', { room: 'r', text, tags: ['a', 'b'] }])),
      )
      const { x, y } = await socket.send(['Where', { id: 7 }])
      const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i)
      const blob = await socket.send(['Blob', { bytes, any: { date: new Date(7), list: [1, null, 'x'] } }])
      return [
        texts.map((text, i) => text === echoes[i]),
        x,
        y,
        blob.size,
        blob.any.date.getTime(),
        blob.any.list,
        blob.back.constructor.name,
        [...blob.back.slice(0, 3)],
      ]
    })
    expect(told).toEqual([Array(7).fill(true), 1.75, -1.5, 1000, 7, [1, null, 'x'], 'Uint8Array', [0, 1, 2]])
    expect(await socket.send(['Chat', { room: 'r', text: 'from here', tags: [] }])).toBe('from here!')
    for (const each of stop) each()
  })

  test('is told what refuses a packet, and what does not fit, with the place', async () => {
    const stop = server.handle(Where, ({ data }) => {
      throw new ValidationError({ code: 404, reason: `no ${data.id}` })
    })
    await connected()
    const told = await tab.evaluate(async () => {
      const { socket } = globalThis as any
      const error = async (packet: unknown) => {
        const { name, code, reason, path } = await socket.send(packet).catch((error: unknown) => error)
        return [name, code, reason, path]
      }
      return [await error(['Where', { id: 7 }]), await error(['Where', { id: -1 }]), await error(['Nope'])]
    })
    expect(told).toEqual(
      [
        ['ValidationError', 404, 'no 7', null],
        ['PacketError', 'ERR_PACKET_ENCODE', expect.stringContaining('uint32'), 'id'],
        ['PacketError', 'ERR_PACKET_UNKNOWN', expect.any(String), null],
      ].map(([name, code, reason, path]) => [name, code, reason, path ?? undefined]),
    )
    stop()
  })

  test('gets posts and broadcasts in order, and is closed by the server', async () => {
    const socket = await connected()
    for (let i = 0; i < 500; i++) socket.post(['Chat', { room: 'r', text: String(i), tags: [] }])
    server.send(['Chat', { room: 'r', text: 'all', tags: [] }])
    await socket.send(['Chat', { room: 'r', text: 'end', tags: [] }])
    const seen = (await tab.evaluate(() => (globalThis as any).seen)) as string[]
    expect(seen).toEqual([...Array.from({ length: 500 }, (_, i) => String(i)), 'all', 'end'])
    const closed = tab.evaluate(
      () =>
        new Promise(resolve =>
          (globalThis as any).socket.on('closed', (reason: any) => resolve(reason.code)),
        ),
    )
    await tab.evaluate(() => undefined)
    await socket.close()
    expect(await closed).toBe('ERR_PACKET_CLOSED')
  })

  test('goes where Redirect says, and loads itself again at Refresh; not to a script', async () => {
    const socket = await connected()
    socket.post(['Redirect', 'javascript:globalThis.pwned = 1'])
    expect(await socket.send(['Chat', { room: 'r', text: 'still here', tags: [] }])).toBe('still here!')
    expect(await tab.evaluate(() => (globalThis as any).pwned)).toBeUndefined()
    const moved = tab.waitForURL(`http://${url}/elsewhere?a=1`)
    socket.post(['Redirect', '/elsewhere?a=1'])
    await moved
    const again = await connected()
    await tab.evaluate(() => ((globalThis as any).isOld = true))
    const loaded = tab.waitForEvent('load')
    again.post(['Refresh'])
    await loaded
    expect(await tab.evaluate(() => (globalThis as any).isOld)).toBeUndefined()
  })
})

test('nothing of Node is in what a page loads', () => {
  const bundle = pageBundle()
  expect(bundle).toContain('globalThis.packets')
  expect(bundle.length).toBeGreaterThan(50_000)
})
