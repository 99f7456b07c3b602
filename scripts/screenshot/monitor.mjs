// monitor.mjs FOLDER: takes pictures of the monitor page as it is on a desk and on a phone, light and dark, of each list and of
// a panel, in Chromium (`CHROMIUM` is its path), to be looked at.
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'
import { connect, init } from 'selvedge'

const WIDTHS = [1200, 320]
const PLACES = ['connections', 'subjects', 'sockets', 'events']
const USERS = ['ann', 'bob', 'a.service.with-a-long-name@eu-west-1.example', 'joe']

const folder = process.argv[2]
if (folder === undefined) {
  console.error('usage: monitor.mjs FOLDER')
  process.exit(2)
}
mkdirSync(folder, { recursive: true })
const executable = process.env.PATH.split(delimiter)
  .map(path => join(path, 'chromium'))
  .find(file => existsSync(file))

const broker = init({
  port: 0,
  monitor: true,
  getUser: ({ handshake }) => ({ name: handshake.headers.who ?? 'local' }),
})
await broker.waitUntilReady()
const address = `http://127.0.0.1:${broker.address().port}`
const clients = USERS.map(who => connect({ address, noCache: true, extraHeaders: { who } }))
await Promise.all(clients.map(client => client.waitUntilReady()))
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? executable,
  args: ['--no-sandbox', '--disable-gpu'],
})
try {
  const [ann, bob, service] = clients
  await ann.subscribe('orders.*')
  await service.subscribe('orders.>', { queue: 'billing' })
  await bob.publish('orders.new', { id: 1 })
  const listener = ann.socket.listen('chat')
  listener.on('connection', socket => socket.on('data', () => {}))
  await listener.waitUntilReady()
  for (const client of [bob, service]) {
    const socket = client.socket.connect('chat')
    await socket.waitUntilReady()
    socket.write('hello')
  }
  for (const colorScheme of ['light', 'dark']) {
    for (const width of WIDTHS) {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
      const take = name =>
        page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true })
      for (const place of PLACES) {
        await page.goto(`${address}/monitor#/${place}`)
        await page.locator('.long tbody tr:not(.gap)').first().waitFor()
        await take(place)
      }
      await page.locator('.long a').first().click()
      await page.locator('#detail .facts').waitFor()
      await take('panel')
      await page.close()
    }
  }
} finally {
  await browser.close()
  await Promise.all(clients.map(client => client.close()))
  await broker.close()
}
