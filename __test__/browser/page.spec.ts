// A real page: Chromium without a screen, the bundle as a script and as a module, and a broker here. Where there is no Chromium it
// says so.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { type Client, type ConatServer, init, type Message, type ServerSocket } from 'selvedge'
import { chromium, launch } from '../support/chromium'
import { until } from '../support/events'
import { listening, numbers } from '../support/sockets'

const bundle = (name: string): Buffer => readFileSync(join(__dirname, '../../dist/browser', name))
const FILES: Readonly<Record<string, Buffer>> = {
  '/selvedge.mjs': bundle('selvedge.mjs'),
  '/selvedge.iife.js': bundle('selvedge.iife.js'),
}
const WAYS = {
  'a script': '<script src="/selvedge.iife.js"></script>',
  'a module':
    '<script type="module">import * as selvedge from "/selvedge.mjs"; globalThis.selvedge = selvedge</script>',
} as const

/** Seconds: longer than what a page takes for a sleep. With 60 broker and page give up the connection meanwhile. */
const FROZEN = Number(process.env.FROZEN_SECONDS ?? 12)

const describeInChromium = chromium === undefined ? describe.skip : describe

describeInChromium('a page', () => {
  let http: Server
  let browser: Browser
  let tab: Page
  let broker: ConatServer
  let host: Client
  let pages: string
  let address: string
  const problems: string[] = []

  const openBroker = async (port: number): Promise<void> => {
    broker = init({ port, host: '127.0.0.1', allowedOrigins: [pages] })
    await broker.waitUntilReady()
    address = `http://127.0.0.1:${broker.address()!.port}`
    host = broker.client()
  }

  beforeAll(async () => {
    http = createServer(({ url }, response) => {
      const file = FILES[url!]
      if (file !== undefined) response.setHeader('content-type', 'text/javascript').end(file)
      else {
        const way = decodeURIComponent(url!.slice(1)) as keyof typeof WAYS
        response
          .setHeader('content-type', 'text/html')
          .end(`<!doctype html><title>page</title>${WAYS[way] ?? ''}`)
      }
    })
    await once(http.listen(0, '127.0.0.1'), 'listening')
    pages = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    browser = await launch()
  }, 60_000)

  beforeEach(async () => {
    await openBroker(0)
    tab = await browser.newPage()
    tab.on('pageerror', error => problems.push(String(error)))
  }, 60_000)

  afterEach(async () => {
    await tab.close()
    await broker.close()
    expect(problems.splice(0)).toEqual([])
  })

  afterAll(async () => {
    await browser.close()
    await new Promise(resolve => http.close(resolve))
  })

  /** Opens the page and connects: `client` there. */
  async function open(way: keyof typeof WAYS): Promise<void> {
    await tab.goto(`${pages}/${encodeURIComponent(way)}`)
    await tab.waitForFunction('globalThis.selvedge !== undefined')
    await tab.evaluate(address => {
      const { connect } = (globalThis as any).selvedge
      Object.assign(globalThis, { client: connect({ address, reconnectionDelay: 20 }) })
    }, address)
  }

  test.each(Object.keys(WAYS) as (keyof typeof WAYS)[])(
    'that loads it as %s asks, is asked, and hears',
    async way => {
      await open(way)
      const squares = await host.subscribe('square')
      squares.emitter.on('message', message => message.respondSync(message.data ** 2))
      expect(
        await tab.evaluate(() => (globalThis as any).client.request('square', 12).then((m: any) => m.data)),
      ).toBe(144)
      await tab.evaluate(async () => {
        const subscription = await (globalThis as any).client.subscribe('names.*')
        void (async () => {
          for await (const message of subscription)
            message.respondSync(`${message.data} of ${message.subject}`)
        })()
      })
      const answer = await host.request('names.<img/src=x/onerror=alert(1)//', '<b>')
      expect(answer.data).toBe('<b> of names.<img/src=x/onerror=alert(1)//')
    },
  )

  test('has each message of a socket once and in order, over a sleep, and is told when its server ends', async () => {
    const listener = await listening(host, 'echo')
    const echo = (server: ServerSocket): unknown => server.on('data', n => server.write(n))
    listener.on('connection', echo)
    await open('a script')
    await tab.evaluate(async () => {
      const socket = (globalThis as any).client.socket.connect('echo')
      const got: number[] = []
      socket.on('data', (n: number) => got.push(n))
      await socket.waitUntilReady()
      for (let n = 1; n <= 300; n++) socket.write(n)
      Object.assign(globalThis, { socket, got })
    })
    await tab.waitForFunction('got.length === 300')
    const server = Object.values(listener.sockets)[0]!
    const asleep = tab.evaluate(() => {
      const until = Date.now() + 1500
      while (Date.now() < until);
    })
    for (const n of numbers(301, 600)) server.write(n)
    await asleep
    await tab.waitForFunction('got.length === 600')
    // The listener is a client of the broker in its own process: it goes with it, and the page is told.
    const closed = tab.evaluate(
      () =>
        new Promise<unknown>(resolve =>
          (globalThis as any).socket.on('closed', (reason: any, undelivered: number) =>
            resolve([typeof reason?.code, undelivered]),
          ),
        ),
    )
    const { port } = broker.address()!
    await broker.close()
    await openBroker(port)
    await listening(host, 'echo')
    expect(await closed).toEqual(['string', 0])
    expect(await tab.evaluate('got')).toEqual(numbers(1, 600))
    expect(await tab.evaluate(() => (globalThis as any).client.waitUntilReady?.().then(() => 'back'))).toBe(
      'back',
    )
  }, 60_000)

  test(
    `that is frozen for ${FROZEN} s in traffic gets everything once and in order, and its request is answered`,
    async () => {
      const listener = await listening(host, 'echo', { resumeTimeout: 600_000 })
      const heard: number[] = []
      listener.on('connection', (server: ServerSocket) => server.on('data', n => heard.push(n)))
      const slow = await host.subscribe('slow')
      const asked = once(slow.emitter, 'message')
      await open('a script')
      await tab.evaluate(async () => {
        const { client } = globalThis as any
        const socket = client.socket.connect('echo')
        const got: number[] = []
        const ticks: number[] = []
        socket.on('data', (n: number) => got.push(n))
        await socket.waitUntilReady()
        let n = 0
        setInterval(() => {
          ticks.push(Date.now())
          if (n < 300) socket.write(++n)
        }, 10)
        const answer = client.request('slow', 1, { timeout: 30_000 }).then(
          ({ data }: any) => data,
          ({ code }: any) => code,
        )
        Object.assign(globalThis, { got, ticks, answer })
      })
      await tab.waitForFunction('ticks.length > 5')
      const server = Object.values(listener.sockets)[0]!
      const [question] = (await asked) as [Message]
      // A page that can be seen is not frozen; one whose script is held runs as little.
      const hold = await tab.context().newCDPSession(tab)
      await hold.send('Debugger.enable')
      const held = new Promise(resolve => hold.once('Debugger.paused', resolve))
      await hold.send('Debugger.pause')
      await held
      for (let second = 0; second < FROZEN; second++) {
        for (const n of numbers(second * 10 + 1, second * 10 + 10)) server.write(n)
        await new Promise(resolve => setTimeout(resolve, 1000))
      }
      question.respondSync('in time')
      await hold.send('Debugger.resume')
      await hold.detach()
      await tab.waitForFunction(count => (globalThis as any).got.length >= count, FROZEN * 10)
      expect(await tab.evaluate('got')).toEqual(numbers(1, FROZEN * 10))
      const answer = await tab.evaluate('answer')
      // An answer to a connection that is gone is lost; so is the time.
      expect(answer).toBe(FROZEN < 30 ? 'in time' : 408)
      await until(() => heard.length >= 300)
      expect(heard).toEqual(numbers(1, 300))
      // It did sleep.
      const pause = await tab.evaluate(() => {
        const { ticks } = globalThis as any
        return Math.max(...ticks.map((at: number, n: number) => at - (ticks[n - 1] ?? at)))
      })
      expect(pause).toBeGreaterThan((FROZEN - 2) * 1000)
    },
    FROZEN * 1000 + 60_000,
  )

  test('of somebody else is not let in', async () => {
    await open('a script')
    await broker.close()
    broker = init({ port: 0, host: '127.0.0.1', allowedOrigins: ['https://another.example'] })
    await broker.waitUntilReady()
    const code = await tab.evaluate(
      address =>
        (globalThis as any).selvedge
          .connect({ address, offlineTimeout: 300 })
          .request('square', 1)
          .catch((error: any) => error.code),
      `http://127.0.0.1:${broker.address()!.port}`,
    )
    expect(code).toBe(408)
  })
})
