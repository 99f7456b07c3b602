// The chat of examples/rooms-chat.mjs with a page in it: three servers, each a process, one of which is killed.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { type Client, type ConatServer, type ConatSocketClient, init } from 'selvedge'
import { chromium, launch } from '../support/chromium'

const ROOT = join(__dirname, '../..')
const SCRIPT = readFileSync(join(ROOT, 'dist/browser/selvedge.iife.js'))
/** A guest whose name would be a script, were it taken for HTML. */
const EVIL = '<img src=x onerror="document.title=1">'

/** The page: it names itself when it is asked, and shows what it hears. */
const PAGE = `<!doctype html><title>chat</title><ol id="lines"></ol>
<script src="/selvedge.iife.js"></script>
<script>
  function enter(address) {
    const socket = selvedge.connect({ address }).socket.connect('chat')
    socket.on('request', request => request.respond('page'))
    socket.on('data', ({ who, what }) => {
      const line = document.createElement('li')
      line.textContent = who + ' ' + what
      document.getElementById('lines').append(line)
    })
    globalThis.chat = socket
    return new Promise(resolve => socket.once('ready', () => resolve(socket.serverId)))
  }
</script>`

const describeInChromium = chromium === undefined ? describe.skip : describe

describeInChromium('a chat with a page in it', () => {
  let http: Server
  let browser: Browser
  let broker: ConatServer
  let address: string
  let guests: Client
  let tab: Page
  const servers = new Map<string, ChildProcess>()
  const problems: string[] = []

  beforeAll(async () => {
    http = createServer(({ url }, response) =>
      url === '/selvedge.iife.js'
        ? response.setHeader('content-type', 'text/javascript').end(SCRIPT)
        : response.setHeader('content-type', 'text/html').end(PAGE),
    )
    await once(http.listen(0, '127.0.0.1'), 'listening')
    const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    broker = init({ port: 0, allowedOrigins: [origin] })
    await broker.waitUntilReady()
    address = `http://127.0.0.1:${broker.address()!.port}`
    guests = broker.client()
    const started = ['one', 'two', 'three'].map(async id => {
      const server = fork(join(ROOT, 'examples/rooms-chat.mjs'), ['server', address, id])
      servers.set(id, server)
      await once(server, 'message')
    })
    const opened = launch().then(async chromium => {
      browser = chromium
      tab = await chromium.newPage()
      tab.on('pageerror', error => problems.push(String(error)))
      await tab.goto(origin)
    })
    await Promise.all([...started, opened])
  }, 60_000)

  afterAll(async () => {
    for (const server of servers.values()) server.kill('SIGKILL')
    await browser?.close()
    await guests?.close()
    await broker?.close()
    await new Promise(resolve => http.close(resolve))
  })

  function enter(name: string, server: string): ConatSocketClient {
    const socket = guests.socket.connect('chat', { loadBalancer: () => server })
    socket.on('request', request => request.respondSync(name))
    return socket
  }

  /** Resolves when the page shows a line. */
  async function shows(line: string): Promise<void> {
    await tab.waitForFunction(
      line =>
        [...(globalThis as any).document.querySelectorAll('#lines li')].some(
          (item: any) => item.textContent === line,
        ),
      line,
      { timeout: 30_000 },
    )
  }

  test('shows who is there, what they say, and who was at a server that was killed', async () => {
    const own = await tab.evaluate(address => (globalThis as any).enter(address) as Promise<string>, address)
    await shows('page is here')
    const [lost, kept] = [...servers.keys()].filter(id => id !== own) as [string, string]
    const [joe, evil] = [enter('joe', lost), enter(EVIL, kept)]
    await Promise.all([shows('joe is here'), shows(`${EVIL} is here`)])
    joe.write('hello')
    await shows('joe says hello')
    const heard = new Promise<void>(resolve => {
      evil.on('data', ({ who, what }) => {
        if (who === 'page' && what === 'says <b>hi</b>') resolve()
      })
    })
    await tab.evaluate(() => (globalThis as any).chat.write('<b>hi</b>'))
    await heard
    servers.get(lost)!.kill('SIGKILL')
    await shows('joe is away')
    await shows('joe has gone')
    evil.write('where is joe?')
    await shows(`${EVIL} says where is joe?`)
    // Away first, then gone, each once; and what is said by others stands where it was said. That it is away within a second and
    // gone within five is what rooms/simulation.spec.ts counts, on virtual time.
    const lines = await tab.$$eval('#lines li', items => items.map(item => item.textContent))
    expect(lines.filter(line => line?.includes('joe'))).toEqual([
      'joe is here',
      'joe says hello',
      'joe is away',
      'joe has gone',
      `${EVIL} says where is joe?`,
    ])
    expect([await tab.title(), problems]).toEqual(['chat', []])
  }, 120_000)
})
