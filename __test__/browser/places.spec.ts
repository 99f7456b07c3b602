// Where else a page's client runs: in workers, in what Vite builds, and in a page that goes into the back/forward cache and comes back.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { type Client, type ConatServer, type ConatSocketServer, init, type ServerSocket } from 'selvedge'
import { chromium, launch } from '../support/chromium'
import { disconnection, listening, numbers } from '../support/sockets'

const ROOT = join(__dirname, '../..')
const bundle = (name: string): Buffer => readFileSync(join(ROOT, 'dist/browser', name))

/** What a worker does: it says a number to the server, and tells the page what comes back. */
const WORK = `
  onmessage = ({ data: address }) => {
    const socket = selvedge.connect({ address }).socket.connect('echo')
    socket.on('data', n => postMessage([n, typeof document]))
    socket.write(7)
  }
`
const SCRIPTS: Readonly<Record<string, Buffer | string>> = {
  '/selvedge.mjs': bundle('selvedge.mjs'),
  '/selvedge.iife.js': bundle('selvedge.iife.js'),
  '/classic.js': `importScripts('/selvedge.iife.js')\n${WORK}`,
  '/module.js': `import * as selvedge from '/selvedge.mjs'\n${WORK}`,
}
/** A program that is built: a page and a worker, both with a socket. */
const PROGRAM: Readonly<Record<string, string>> = {
  'index.html': '<!doctype html><title>built</title><script type="module" src="/main.js"></script>',
  'main.js': `
    import { connect, FabricError } from 'selvedge/browser'
    globalThis.start = address => new Promise(resolve => {
      const socket = connect({ address }).socket.connect('echo')
      socket.on('data', own => {
        const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
        worker.onmessage = ({ data }) => resolve([own, ...data, new FabricError('no', 403).code])
        worker.postMessage(address)
      })
      socket.write(1)
    })
  `,
  'worker.js': `import * as selvedge from 'selvedge/browser'\n${WORK}`,
}
const PAGE = '<!doctype html><title>page</title><script src="/selvedge.iife.js"></script>'

const describeInChromium = chromium === undefined ? describe.skip : describe

describeInChromium('a page', () => {
  let http: Server
  let browser: Browser
  let tab: Page
  let broker: ConatServer
  let host: Client
  let listener: ConatSocketServer
  let pages: string
  let address: string
  /** What Vite has built, while it is that which is served. */
  let output: string | undefined
  const problems: string[] = []

  beforeAll(async () => {
    http = createServer(({ url }, response) => {
      const script =
        SCRIPTS[url!] ?? (url!.startsWith('/assets/') ? readFileSync(join(output!, url!)) : undefined)
      if (script !== undefined) response.setHeader('content-type', 'text/javascript').end(script)
      else
        response
          .setHeader('content-type', 'text/html')
          .end(
            url === '/away' ? 'away' : output === undefined ? PAGE : readFileSync(join(output, 'index.html')),
          )
    })
    await once(http.listen(0, '127.0.0.1'), 'listening')
    pages = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    broker = init({ port: 0, host: '127.0.0.1', allowedOrigins: [pages] })
    await broker.waitUntilReady()
    address = `http://127.0.0.1:${broker.address()!.port}`
    host = broker.client()
    listener = await listening(host, 'echo', { resumeTimeout: 600_000 })
    browser = await launch(['--disable-back-forward-cache'])
  }, 60_000)

  beforeEach(async () => {
    tab = await browser.newPage()
    tab.on('pageerror', error => problems.push(String(error)))
    await tab.goto(pages)
  }, 60_000)

  afterEach(async () => {
    listener.removeAllListeners('connection')
    await tab.close()
    expect(problems.splice(0)).toEqual([])
  })

  afterAll(async () => {
    await browser?.close()
    await broker?.close()
    await new Promise(resolve => http.close(resolve))
  })

  test.each([
    ['of a script', '/classic.js', 'classic'],
    ['of a module', '/module.js', 'module'],
  ])(
    'has a worker %s with a socket of its own',
    async (_name, file, type) => {
      listener.on('connection', socket => socket.on('data', n => socket.write(n * 6)))
      const answer = await tab.evaluate(
        ([file, type, address]) =>
          new Promise(resolve => {
            const worker = new (globalThis as any).Worker(file, { type })
            worker.onmessage = ({ data }: { data: unknown }) => resolve(data)
            worker.onerror = ({ message }: { message: string }) => resolve(message)
            worker.postMessage(address)
          }),
        [file, type, address] as const,
      )
      expect(answer).toEqual([42, 'undefined'])
    },
    60_000,
  )

  test('that Vite has built, of the package as it is installed, works, and so does its worker', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-vite-'))
    try {
      mkdirSync(join(folder, 'node_modules'))
      symlinkSync(ROOT, join(folder, 'node_modules/selvedge'), 'dir')
      for (const [name, text] of Object.entries(PROGRAM)) writeFileSync(join(folder, name), text)
      const vite = join(ROOT, 'node_modules/vite/bin/vite.js')
      const built = spawnSync(process.execPath, [vite, 'build'], { cwd: folder, encoding: 'utf8' })
      expect([built.status, built.stderr]).toEqual([0, ''])
      output = join(folder, 'dist')
      listener.on('connection', socket => socket.on('data', n => socket.write(n * 6)))
      await tab.goto(pages)
      await tab.waitForFunction('globalThis.start !== undefined')
      const told = await tab.evaluate(address => (globalThis as any).start(address), address)
      expect(told).toEqual([6, 42, 'undefined', 403])
    } finally {
      output = undefined
      rmSync(folder, { recursive: true })
    }
  }, 60_000)

  test('that is left for another one and shown again has its socket, and what was written meanwhile once and in order', async () => {
    const heard: number[] = []
    const connected = new Promise<ServerSocket>(resolve => listener.once('connection', resolve))
    await tab.evaluate(address => {
      const socket = (globalThis as any).selvedge.connect({ address }).socket.connect('echo')
      const got: number[] = []
      Object.assign(globalThis, { socket, got, shown: 0 })
      socket.on('data', (n: number) => got.push(n))
      ;(globalThis as any).addEventListener('pageshow', ({ persisted }: { persisted: boolean }) => {
        if (persisted) (globalThis as any).shown += 1
      })
    }, address)
    const server = await connected
    server.on('data', n => heard.push(n))
    for (const n of numbers(1, 100)) server.write(n)
    await tab.waitForFunction('got.length === 100')
    const away = disconnection(server)
    await tab.evaluate('for (let n = 1; n <= 50; n++) socket.write(n)')
    await tab.goto(`${pages}/away`)
    await away
    for (const n of numbers(101, 200)) server.write(n)
    // It is not loaded again.
    await tab.goBack({ waitUntil: 'commit' })
    await tab.waitForFunction('got.length >= 200')
    await tab.evaluate('for (let n = 51; n <= 100; n++) socket.write(n)')
    while (heard.length < 100) await once(server, 'data')
    expect(await tab.evaluate('[shown, got]')).toEqual([1, numbers(1, 200)])
    expect(heard).toEqual(numbers(1, 100))
  }, 60_000)
})
