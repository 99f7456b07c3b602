// The behaviour of the client of pages, each row in Node.js over the WebSocket of `ws` and in a real page: the same comes out.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { type ConatServer, type ConatSocketServer, init, type ServerSocket } from 'selvedge'
import * as library from 'selvedge/browser'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { WebSocket } from 'ws'
import { chromium, launch } from '../support/chromium'
import { listening } from '../support/sockets'
import { type Control, ROWS, type Row, type Where } from './suite'

const SCRIPT = readFileSync(join(__dirname, '../../dist/browser/selvedge.iife.js'))

let http: Server
let pages: string
let broker: ConatServer
let proxy: FaultProxy
let where: Where

beforeAll(async () => {
  http = createServer(({ url }, response) =>
    url === '/selvedge.iife.js'
      ? response.setHeader('content-type', 'text/javascript').end(SCRIPT)
      : response.setHeader('content-type', 'text/html').end('<script src="/selvedge.iife.js"></script>'),
  )
  await once(http.listen(0, '127.0.0.1'), 'listening')
  pages = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
})

beforeEach(async () => {
  const isAllowed = ({ subject }: { subject: string }): boolean => !subject.startsWith('secret.')
  broker = init({ port: 0, host: '127.0.0.1', allowedOrigins: [pages], isAllowed })
  await broker.waitUntilReady()
  const address = `http://127.0.0.1:${broker.address()!.port}`
  proxy = await faultProxy({ target: address })
  where = { address, proxied: proxy.address }
  await openPeers()
})

afterEach(async () => {
  await broker.close()
  await proxy.close()
})

afterAll(() => new Promise(resolve => http.close(resolve)))

/** What the rows talk to. */
async function openPeers(): Promise<void> {
  const host = broker.client()
  const { emitter } = await host.subscribe('echo')
  emitter.on('message', message => message.respondSync(message.data, { headers: message.headers }))
  await host.subscribe('silent')
  await host.service('math', {
    add: (a: number, b: number) => a + b,
    fail: () => {
      throw Object.assign(Error('no such number'), { code: 'EMATH' })
    },
  })
  const names = ['echo', 'slow', 'deaf', 'greeted']
  const [echo, slow, deaf, greeted] = await Promise.all(names.map(name => listening(host, name)))
  let read = 0
  echo!.on('connection', (socket: ServerSocket) => {
    echo!.room('lobby').watch(socket)
    socket.on('data', async (data, headers) => {
      if (!socket.write(data, { headers })) await socket.waitUntilWritable()
    })
    socket.on('request', request => request.respondSync({ got: request.data }))
  })
  slow!.on('connection', (socket: ServerSocket) => socket.pause().on('data', () => (read += 1)))
  deaf!.on('connection', (socket: ServerSocket) => socket.pause())
  greeted!.on('connection', (socket: ServerSocket) => {
    for (const n of [1, 2, 3]) socket.write(n)
    socket.on('request', request => request.respondSync())
  })
  const socketsOf = (listener: ConatSocketServer | undefined): ServerSocket[] =>
    Object.values(listener!.sockets)
  await host.service<Control>('control', {
    cut: async () => void (await proxy.cut()),
    closeGreeted: async () => {
      for (const socket of socketsOf(greeted)) socket.close()
    },
    closeDeaf: async () => {
      for (const socket of socketsOf(deaf)) socket.close()
    },
    readSlow: async () => {
      const before = read
      for (const socket of socketsOf(slow)) socket.resume()
      return before
    },
    ask: async question => (await socketsOf(echo)[0]!.request(question)).data,
    join: async key => socketsOf(echo)[0]!.join('lobby', { key }),
    leave: async () => socketsOf(echo)[0]!.leave('lobby'),
  })
}

function testRows(run: (row: Row) => Promise<unknown>): void {
  test.each(Object.keys(ROWS))('%s', async name => {
    const row = ROWS[name]!
    expect(await run(row)).toEqual(row.comesOut)
  })
}

describe('a client of a page in Node.js', () => {
  const connect = (options?: library.ConnectOptions): library.Client =>
    library.connect({ WebSocket: WebSocket as never, ...options })

  testRows(({ run }) => run({ ...library, connect }, where))
})

const describeInChromium = chromium === undefined ? describe.skip : describe

describeInChromium('a client in a real page', () => {
  let browser: Browser
  let tab: Page
  const problems: string[] = []

  beforeAll(async () => {
    browser = await launch()
    tab = await browser.newPage()
    tab.on('pageerror', error => problems.push(String(error)))
    await tab.goto(pages)
  }, 60_000)

  afterEach(() => expect(problems.splice(0)).toEqual([]))
  afterAll(() => browser?.close())

  testRows(({ run }) => tab.evaluate(`(${run})(selvedge, ${JSON.stringify(where)})`))
})
