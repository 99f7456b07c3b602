// site.mjs FOLDER: takes pictures of pages of the site (`npm run site` builds it) on a desk and on a phone, light and dark, in
// Chromium (`CHROMIUM` is its path), to be looked at. Ends with 1 if a page is wider than the window, or asks for what is not there.
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { delimiter, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const SITE = fileURLToPath(new URL('../../site/dist/', import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.png': 'image/png' }
const WIDTHS = [390, 1280]
const PAGES = [
  'index',
  'guide/sockets',
  'guide/rooms',
  'guide/from-others',
  'reference/command',
  'reference/errors',
  'examples/rooms-chat',
  'ARCHITECTURE',
]

const folder = process.argv[2]
if (folder === undefined || !existsSync(SITE)) {
  console.error('usage: site.mjs FOLDER, after npm run site')
  process.exit(2)
}
mkdirSync(folder, { recursive: true })
const executable = process.env.PATH.split(delimiter)
  .map(path => join(path, 'chromium'))
  .find(file => existsSync(file))

const http = createServer(({ url }, response) => {
  const path = decodeURIComponent(new URL(url, 'http://site').pathname)
  const file = [join(SITE, path), join(SITE, `${path}.html`), join(SITE, path, 'index.html')].find(
    name => name.startsWith(SITE) && existsSync(name) && statSync(name).isFile(),
  )
  if (file === undefined) response.writeHead(404).end()
  else response.setHeader('content-type', TYPES[extname(file)] ?? 'text/plain').end(readFileSync(file))
})
await once(http.listen(0, '127.0.0.1'), 'listening')
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? executable,
  args: ['--no-sandbox', '--disable-gpu'],
})
try {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of WIDTHS) {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
      const complain = text => {
        console.log(`FAILED ${width} ${colorScheme}: ${text}`)
        process.exitCode = 1
      }
      page.on('response', answer => answer.status() >= 400 && complain(`${answer.url()}: ${answer.status()}`))
      page.on('pageerror', error => complain(error))
      for (const name of PAGES) {
        await page.goto(`http://127.0.0.1:${http.address().port}/${name}`, { waitUntil: 'load' })
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        if (wide > 0) complain(`${name} is ${wide} pixels wider than the window`)
        await page.screenshot({
          path: join(folder, `${name.replaceAll('/', '-')}-${width}-${colorScheme}.png`),
        })
      }
      await page.close()
    }
  }
} finally {
  await browser.close()
  http.close()
}
