// The page of the monitor in a real browser: names that want to be markup, very many rows, a broker that lies or is
// gone.
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Route } from 'playwright-core'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { describeInChromium, page, usePage } from './monitor-page'

jest.setTimeout(120_000)

const FOLDER = join(__dirname, '../../monitor')
const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '</script><script>alert(1)</script>',
  '\u202egnp.exe\u200b',
  'javascript:alert(1)',
]
const BIG = `${'a'.repeat(50_000)}.<b>${'b'.repeat(50_000)}`
const ROWS = 10_000

test('no file of the page makes markup of a text, or asks anybody else', () => {
  for (const name of readdirSync(FOLDER)) {
    const text = readFileSync(join(FOLDER, name), 'utf8')
    expect({
      name,
      found: /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|javascript:/.exec(
        text,
      ),
    }).toEqual({ name, found: null })
    const urls = [...text.matchAll(/https?:\/\/[^\s'"]+/g)].map(([url]) => url)
    expect({ name, urls: urls.filter(url => !url.startsWith('http://www.w3.org/')) }).toEqual({
      name,
      urls: [],
    })
  }
})

/** What is wider than what it is in, or than the page; in the page. A text that ends with dots is not. */
function overflowing(): string[] {
  const { document, innerWidth, getComputedStyle } = globalThis as any
  const found: string[] = []
  if (document.documentElement.scrollWidth > innerWidth) found.push('the page')
  for (const element of document.body.querySelectorAll('*:not(.hidden)')) {
    const { right, left, width } = element.getBoundingClientRect()
    if (width === 0 || element.closest('svg, .hidden') !== null) continue
    const { overflowX, textOverflow, display } = getComputedStyle(element)
    const name = `${element.tagName} ${element.id || element.className}: ${element.textContent.slice(0, 40)}`
    // What is in a cell is cut by that.
    const isCut = element.closest('td') !== null && element.tagName !== 'TD'
    if (!isCut && (right > innerWidth + 1 || left < -1)) found.push(`${name} (to ${right})`)
    if (overflowX === 'visible' || textOverflow === 'ellipsis' || display === 'inline') continue
    if (element.scrollWidth > element.clientWidth + 1)
      found.push(`${name} (${element.scrollWidth} in ${element.clientWidth})`)
  }
  return found
}

describeInChromium('in Chromium', () => {
  usePage()
  let broker: ConatServer
  let url: string
  const clients: Client[] = []

  beforeAll(async () => {
    broker = init({
      port: 0,
      monitor: true,
      getUser: ({ handshake }) => ({ name: decodeURIComponent(handshake.headers.who ?? 'local') }),
    })
    await broker.waitUntilReady()
    url = `${broker.address()}/monitor`
    for (const who of HOSTILE) {
      const extraHeaders = { who: encodeURIComponent(who) }
      const client = connect({ address: String(broker.address()), noCache: true, extraHeaders })
      clients.push(client)
      await client.waitUntilReady()
    }
    await clients[0]!.subscribe('<b>orders</b>.*')
    await clients[1]!.publish('<b>orders</b>.new', 1)
  })

  afterAll(async () => {
    await Promise.all(clients.map(client => client.close()))
    await broker.close()
  })

  const texts = (selector: string) => page.locator(selector).allTextContents()

  test('shows who is connected, and follows one of them', async () => {
    await page.goto(url)
    await page.getByText('gnp.exe').first().waitFor()
    const users = await texts('.long tbody tr:not(.gap) td:nth-child(2)')
    expect(users).toEqual(expect.arrayContaining([HOSTILE[0], HOSTILE[1], 'U+202Egnp.exeU+200B', HOSTILE[3]]))
    expect(await page.locator('td img, td script').count()).toBe(0)
    await page.locator('tr', { hasText: HOSTILE[0]! }).locator('a').first().click()
    await page.locator('#detail .facts').waitFor()
    expect(await page.locator('#detail').textContent()).toContain('<b>orders</b>.*')
    await page.keyboard.press('Escape')
    await page.locator('#detail').waitFor({ state: 'hidden' })
  })

  test('finds which patterns a subject reaches, and tells what has happened', async () => {
    await page.goto(`${url}#/subjects`)
    // The page takes keys once it shows something.
    await page.getByText('<b>orders</b>.*').first().waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('match:<b>orders</b>.new')
    await page.getByText('1 of', { exact: false }).waitFor()
    expect(await texts('.long tbody tr:not(.gap) td:first-child')).toEqual(['<b>orders</b>.*'])
    await page.getByRole('link', { name: 'Events' }).click()
    await page.locator('.badge', { hasText: 'connected' }).first().waitFor()
  })

  test('is as wide as a phone, and keeps a chosen colour', async () => {
    await page.setViewportSize({ width: 320, height: 700 })
    await page.goto(url)
    await page.locator('.long tbody tr:not(.gap)').first().waitFor()
    expect(await page.evaluate(() => (globalThis as any).document.documentElement.scrollWidth)).toBe(320)
    await page.getByRole('button', { name: 'Auto' }).click()
    await page.getByRole('button', { name: 'Light' }).click()
    await page.reload()
    const look = () =>
      page.evaluate(
        () => (globalThis as any).getComputedStyle((globalThis as any).document.body).backgroundColor,
      )
    await page.getByRole('button', { name: 'Dark' }).waitFor()
    expect(await look()).toBe('rgb(13, 15, 23)')
  })

  test.each([1200, 320])('shows all of itself at a width of %i', async width => {
    const [one, other] = [clients[2]!, clients[3]!]
    const listener = one.socket.listen(`chat.${'long-'.repeat(20)}`)
    await listener.waitUntilReady()
    const socket = other.socket.connect(listener.subject)
    try {
      await socket.waitUntilReady()
      await page.setViewportSize({ width, height: 900 })
      // A panel that slides in is not where it will be.
      await page.emulateMedia({ reducedMotion: 'reduce' })
      const places = ['connections', 'subjects', 'sockets', 'events']
      places.push(`subject/${encodeURIComponent(listener.subject)}`)
      places.push(...Object.keys(broker.sockets).map(id => `connection/${id}`))
      const found: Record<string, string[]> = {}
      for (const place of places) {
        await page.goto(`${url}#/${place}`)
        const shown = place.includes('/') ? '#detail h3' : '.long tbody tr:not(.gap)'
        await page.locator(shown).first().waitFor()
        // With all that ends tell.
        if (place === 'sockets') await page.locator('.long .badge', { hasText: 'ready' }).waitFor()
        const wide = await page.evaluate(overflowing)
        if (wide.length > 0) found[place] = wide
      }
      expect(found).toEqual({})
    } finally {
      const closed = [once(socket, 'closed'), once(listener, 'closed')]
      socket.close()
      listener.close()
      await Promise.all(closed)
    }
  })

  test('draws of 10 000 connections what can be seen, and names of 100 KB cut', async () => {
    const asked: number[] = []
    await page.route('**/api/connections?*', async (route: Route) => {
      const query = new URL(route.request().url()).searchParams
      const [offset, limit] = [Number(query.get('offset') ?? 0), Number(query.get('limit'))]
      asked.push(limit)
      const rows = Array.from({ length: Math.min(limit, ROWS - offset) }, (_, at) => row(offset + at))
      await route.fulfill({ json: { total: ROWS, matching: ROWS, rows } })
    })
    await page.goto(url)
    await page.getByText(`${ROWS} connections`, { exact: true }).waitFor()
    await page.locator('.scroll').evaluate((element: any) => {
      element.scrollTop = element.scrollHeight
    })
    await page.getByText(`id-${ROWS - 1}`, { exact: true }).waitFor()
    await page.locator('.scroll').evaluate((element: any) => {
      element.scrollTop = element.scrollHeight / 2
    })
    await page.getByText('id-5000', { exact: true }).waitFor()
    expect(await page.locator('.long tbody tr').count()).toBeLessThanOrEqual(102)
    expect(Math.max(...asked)).toBeLessThanOrEqual(100)
    const longest = await page.evaluate(() =>
      Math.max(
        ...[...(globalThis as any).document.querySelectorAll('td')].map(
          (cell: any) => cell.textContent.length,
        ),
      ),
    )
    expect(longest).toBeLessThanOrEqual(200)
    await page.goto(`${url}#/subject/${encodeURIComponent(BIG)}`)
    await page.locator('#detail h2').waitFor()
    expect((await page.locator('#detail h2').textContent())!.length).toBe(BIG.length)
  })

  test('a part whose answer makes no sense says so, and the rest goes on', async () => {
    for (const lie of ['<html>', '{"total":', '{"total":"many","rows":{}}', 'null']) {
      await page.route('**/api/connections?*', route =>
        route.fulfill({ body: lie, contentType: 'application/json' }),
      )
      await page.goto('about:blank')
      await page.goto(url)
      await page.locator('#count', { hasText: 'not understood' }).waitFor()
      expect(await texts('#state')).toEqual(['live'])
      await page.unroute('**/api/connections?*')
    }
    await page.locator('.long tbody tr:not(.gap)').first().waitFor()
  })

  test('keeps the last numbers when the broker does not answer, and goes on when it does', async () => {
    await page.goto(url)
    await page.locator('#state', { hasText: 'live' }).waitFor()
    await page.route('**/api/**', route => route.abort())
    await page.locator('#banner', { hasText: 'as of' }).waitFor()
    expect(await texts('#numbers dd')).toContain(String(HOSTILE.length))
    await page.unroute('**/api/**')
    await page.locator('#state', { hasText: 'live' }).waitFor()
    await page.locator('#banner').waitFor({ state: 'hidden' })
  })

  test.each(['429', 'nothing'] as const)('a part of it that gets %s is asked for again', async answer => {
    let isLeft = true
    await page.route('**/text.mjs', async route => {
      if (!isLeft) return await route.continue()
      isLeft = false
      if (answer === 'nothing') await route.abort()
      else await route.fulfill({ status: 429, body: 'too often' })
    })
    await page.goto(url)
    await page.locator('#state', { hasText: 'live' }).waitFor()
  })

  test.each(['light', 'dark'] as const)(
    'has nothing that axe calls serious, in the %s',
    async colorScheme => {
      const source = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      const places = ['connections', 'subjects', 'sockets', 'events', 'subject/%3Cb%3Eorders%3C%2Fb%3E.*']
      places.push(`connection/${Object.keys(broker.sockets)[0]}`)
      const found: Record<string, string[]> = {}
      // Loaded once: six times in a row is more than one address may ask of a broker.
      await page.goto(url)
      await page.locator('#state', { hasText: 'live' }).waitFor()
      await page.evaluate(source)
      for (const place of places) {
        await page.goto(`${url}#/${place}`)
        const [kind, name] = place.split('/')
        if (name === undefined) {
          await page.locator(`#tabs [data-tab=${kind}][aria-current=page]`).waitFor()
          await page.locator('#count', { hasText: /\d/ }).waitFor()
        } else {
          await page.locator('#detail small', { hasText: new RegExp(kind!, 'i') }).waitFor()
          await page.locator('#detail h3').first().waitFor()
        }
        const serious: string[] = await page.evaluate(async () => {
          const { violations } = await (globalThis as any).axe.run()
          return violations
            .filter(({ impact }: any) => impact === 'serious' || impact === 'critical')
            .map(({ id, nodes }: any) => `${id}: ${nodes.map(({ html }: any) => html).slice(0, 3)}`)
        })
        if (serious.length > 0) found[place] = serious
      }
      expect(found).toEqual({})
    },
  )

  test('is used by the keyboard alone: sorted, opened, closed', async () => {
    await page.goto(url)
    await page.locator('.long tbody tr:not(.gap)').first().waitFor()
    const focused = () =>
      page.evaluate(() => {
        const { activeElement } = (globalThis as any).document
        const head = activeElement.closest('th')
        return [activeElement.closest('th, td, nav, header')?.tagName, head?.getAttribute('aria-sort')]
      })
    const tabTo = async (tag: string): Promise<void> => {
      for (let n = 0; n < 60; n++) {
        await page.keyboard.press('Tab')
        if ((await focused())[0] === tag) return
      }
      throw Error(`no ${tag} by the Tab key`)
    }
    await tabTo('TH')
    const [, before] = await focused()
    await page.keyboard.press('Enter')
    await page.waitForFunction(before => {
      const { activeElement } = (globalThis as any).document
      return activeElement.closest('th')?.getAttribute('aria-sort') !== before
    }, before)
    await tabTo('TD')
    await page.keyboard.press('Enter')
    await page.locator('#detail h2').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('#detail').waitFor({ state: 'hidden' })
  })

  function row(at: number) {
    const numbers = {
      age: at,
      subscriptions: 1,
      msgsIn: at,
      msgsOut: at,
      bytesIn: at,
      bytesOut: at,
      outbox: 0,
    }
    const user = at % 10 === 0 ? BIG : JSON.stringify({ name: HOSTILE[at % HOSTILE.length] })
    return {
      id: `id-${at}`,
      user,
      address: '10.0.0.1',
      wire: at % 7 === 0 ? 'none of ours' : 'selvedge',
      ...numbers,
    }
  }
})
