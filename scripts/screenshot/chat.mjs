// chat.mjs [FILE]: takes the picture of the chat in docs/guide/rooms.md, in Chromium (`CHROMIUM` is its path): a page, three
// servers, and a guest whose process is killed. Prints what the page shows.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { connect, init } from 'selvedge'

const SELF = fileURLToPath(import.meta.url)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FILES = {
  '/': ['text/html', join(ROOT, 'scripts/screenshot/chat.html')],
  '/selvedge.iife.js': ['text/javascript', join(ROOT, 'dist/browser/selvedge.iife.js')],
}

if (process.argv[2] === 'guest') visit(process.argv[3], process.argv[4], process.argv[5])
else await takePicture(process.argv[2] ?? join(ROOT, 'docs/guide/images/chat.png'))

function inPath(name) {
  return process.env.PATH.split(delimiter)
    .map(folder => join(folder, name))
    .find(file => existsSync(file))
}

/** A socket to one server of the chat. */
function visit(address, name, server) {
  const socket = connect({ address, noCache: true }).socket.connect('chat', { loadBalancer: () => server })
  socket.on('request', request => request.respond(name))
  process.on('message', text => socket.write(text))
  process.on('disconnect', () => process.exit())
}

/** As in examples/rooms-chat.mjs; the page may see who is in, too. */
function serve(client, id) {
  const listener = client.socket.listen('chat', { id })
  const lobby = listener.room('lobby')
  const tell = (what, who) => listener.to('lobby').local.write({ what, who, isEvent: true })
  listener.use(async socket => {
    socket.data.name = (await socket.request('who are you?')).data
  })
  lobby.on('join', ({ key }) => tell('is here', key))
  lobby.on('update', ({ key, stale }) => stale && tell('is away', key))
  listener.on('connection', socket => {
    socket.join('lobby', { key: socket.data.name })
    lobby.watch(socket)
    socket.on('data', text => listener.to('lobby').write({ what: text, who: socket.data.name }))
  })
  return listener.waitUntilReady()
}

async function takePicture(file) {
  const http = createServer(({ url }, response) => {
    const [type, path] = FILES[url] ?? []
    if (path === undefined) response.writeHead(404).end()
    else response.setHeader('content-type', type).end(readFileSync(path))
  })
  await once(http.listen(0, '127.0.0.1'), 'listening')
  const pages = `http://127.0.0.1:${http.address().port}`
  const broker = init({ port: 0, allowedOrigins: [pages] })
  await broker.waitUntilReady()
  const address = `http://127.0.0.1:${broker.address().port}`
  const guests = []
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? inPath('chromium'),
    args: ['--no-sandbox', '--disable-gpu'],
  })
  try {
    await Promise.all(['one', 'two', 'three'].map(id => serve(broker.client(), id)))
    const page = await browser.newPage({ viewport: { width: 560, height: 200 }, deviceScaleFactor: 2 })
    await page.goto(pages)
    const shows = line =>
      page.waitForFunction(
        line => [...document.querySelectorAll('li')].some(({ textContent }) => textContent === line),
        line,
      )
    await page.evaluate(address => enter(address, 'ann'), address)
    await shows('ann is here')
    for (const [name, server] of [
      ['bob', 'two'],
      ['joe', 'three'],
    ]) {
      guests.push(fork(SELF, ['guest', address, name, server]))
      await shows(`${name} is here`)
    }
    const [bob, joe] = guests
    for (const [who, name, text] of [
      [undefined, 'ann', 'Good morning! Who is in today?'],
      [bob, 'bob', 'I am, at another server than you.'],
      [joe, 'joe', 'Me too, at a third one. I am on a tra'],
    ]) {
      if (who === undefined) await page.evaluate(text => say(text), text)
      else who.send(text)
      await shows(`${name} ${text}`)
    }
    joe.kill('SIGKILL')
    await shows('joe is away')
    await page.waitForFunction(() => document.querySelector('#members .stale') !== null)
    await page.screenshot({ path: file })
    console.log(JSON.stringify(await page.$$eval('li', items => items.map(({ textContent }) => textContent))))
  } finally {
    for (const guest of guests) guest.kill('SIGKILL')
    await browser.close()
    await broker.close()
    http.close()
  }
}
