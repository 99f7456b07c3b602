// examples/rooms-chat.mjs as it is: its page in a browser, and its three servers, each a process, one of which is killed.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Browser, Page } from 'playwright-core'
import { type Client, type ConatSocketClient, connect, watchRoom } from 'selvedge'
import { chromium, launch } from '../support/chromium'

const ROOT = join(__dirname, '../..')
/** A guest whose name would be a script, were it taken for HTML. */
const EVIL = '<img src=x onerror="document.title=1">'

const describeInChromium = chromium === undefined ? describe.skip : describe

describeInChromium('the chat of the examples', () => {
  let browser: Browser
  let example: ChildProcess
  let guests: Client
  let tab: Page
  const problems: string[] = []

  beforeAll(async () => {
    example = spawn(process.execPath, [join(ROOT, 'examples/rooms-chat.mjs')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const started = once(createInterface(example.stdout!), 'line')
    browser = await launch()
    const [line] = (await started) as [string]
    const address = line.slice(line.indexOf('http'))
    guests = connect({ address, noCache: true })
    tab = await browser.newPage()
    tab.on('pageerror', error => problems.push(String(error)))
    await tab.goto(`${address}/?name=page`)
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    await guests?.close()
    if (example === undefined) return
    const ended = once(example, 'exit')
    example.stdin!.end()
    expect((await ended)[0]).toBe(0)
  })

  /** A guest at one of the servers. */
  function enter(name: string, server: string): ConatSocketClient {
    const socket = guests.socket.connect('chat', { loadBalancer: () => server })
    return socket.on('request', request => request.respondSync(name))
  }

  /** The server that a member is at, as a guest sees it. */
  async function serverOf(name: string, guest: ConatSocketClient): Promise<string> {
    const lobby = watchRoom(guest, 'lobby')
    while (!lobby.members.has(name)) await once(lobby, 'sync')
    return lobby.members.get(name)!.sockets[0]!.server
  }

  const shown = (list: string) => tab.$$eval(`#${list} li`, items => items.map(item => item.textContent))

  /** Resolves when the page shows a line. */
  async function shows(line: string, selector = '#lines li'): Promise<void> {
    await tab.waitForFunction(
      ([selector, line]) =>
        [...(globalThis as any).document.querySelectorAll(selector)].some(
          (item: any) => item.textContent === line,
        ),
      [selector, line] as const,
      { timeout: 30_000 },
    )
  }

  test('shows who is there and what they say; whoever was at a server that was killed is grey, then gone within 5 s', async () => {
    await shows('page is here')
    // The page is at one of the three; whom the page is with is not killed.
    const servers = ['one', 'two', 'three']
    const probes = servers.map(server => enter(`at ${server}`, server))
    for (const server of servers) await shows(`at ${server} is here`)
    expect(await shown('members')).toEqual(expect.arrayContaining(['page', ...servers.map(id => `at ${id}`)]))

    const heard = new Promise<void>(resolve => {
      probes[1]!.on('data', ({ name, text }) => {
        if (name === 'page' && text === '<b>hi</b>') resolve()
      })
    })
    await tab.fill('#text', '<b>hi</b>')
    await tab.press('#text', 'Enter')
    await Promise.all([heard, shows('page: <b>hi</b>')])
    const own = await serverOf('page', probes[0]!)
    const [lost, kept] = servers.filter(id => id !== own) as [string, string]
    const evil = enter(EVIL, kept)
    await shows(`${EVIL} is here`)

    const killed = Date.now()
    example.stdin!.write(`${lost}\n`)
    await shows(`at ${lost} is away`)
    await shows(`at ${lost}`, '#members .stale')
    await shows(`at ${lost} has gone`)
    expect(Date.now() - killed).toBeLessThan(5000)
    evil.write('where is it?')
    await shows(`${EVIL}: where is it?`)
    // Away first, then gone, each once. That it is away within a second is counted on virtual time (rooms/simulation.spec.ts).
    const lines = (await shown('lines')).filter(line => line?.startsWith(`at ${lost} `))
    expect(lines).toEqual([`at ${lost} is here`, `at ${lost} is away`, `at ${lost} has gone`])
    expect(await shown('members')).not.toContain(`at ${lost}`)
    expect([await tab.title(), problems]).toEqual(['lobby', []])
  }, 120_000)
})
