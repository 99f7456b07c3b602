// chat.mjs [FILE]: takes the picture of examples/rooms-chat.mjs in docs/guide/rooms.md, in Chromium (`CHROMIUM` is its path): a
// page, and guests at other servers, one of which is killed. Prints what the page shows.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { connect, watchRoom } from 'selvedge'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

await takePicture(process.argv[2] ?? join(ROOT, 'docs/guide/images/chat.png'))

function inPath(name) {
  return process.env.PATH.split(delimiter)
    .map(folder => join(folder, name))
    .find(file => existsSync(file))
}

async function takePicture(file) {
  const stdio = ['pipe', 'pipe', 'inherit']
  const example = spawn(process.execPath, [join(ROOT, 'examples/rooms-chat.mjs')], { stdio })
  const [line] = await once(createInterface(example.stdout), 'line')
  const address = line.slice(line.indexOf('http'))
  const client = connect({ address })
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? inPath('chromium'),
    args: ['--no-sandbox', '--disable-gpu'],
  })
  try {
    const page = await browser.newPage({ viewport: { width: 560, height: 225 }, deviceScaleFactor: 2 })
    await page.goto(`${address}/?name=ann`)
    const shows = line =>
      page.waitForFunction(
        line => [...document.querySelectorAll('li')].some(({ textContent }) => textContent === line),
        line,
      )
    await shows('ann is here')
    const enter = async (name, server) => {
      const options = server && { loadBalancer: () => server }
      const socket = client.socket.connect('chat', options).handle(() => name)
      await shows(`${name} is here`)
      return socket
    }
    const bob = await enter('bob')
    const lobby = watchRoom(bob, 'lobby')
    while (lobby.members.size < 2) await once(lobby, 'sync')
    const taken = [...lobby.members.values()].map(({ sockets }) => sockets[0].server)
    // At this one there is nobody.
    const free = ['one', 'two', 'three'].find(server => !taken.includes(server))
    const joe = await enter('joe', free)
    for (const [who, name, text] of [
      [undefined, 'ann', 'Good morning! Who is in today?'],
      [bob, 'bob', 'I am, whichever server I am at.'],
      [joe, 'joe', 'Me too, at another one. Kill it!'],
    ]) {
      if (who === undefined) await page.fill('#text', text).then(() => page.press('#text', 'Enter'))
      else who.write(text)
      await shows(`${name}: ${text}`)
    }
    example.stdin.write(`${free}\n`)
    await shows('joe is away')
    await page.waitForFunction(() => document.querySelector('#members .stale') !== null)
    await page.screenshot({ path: file })
    console.log(JSON.stringify(await page.$$eval('li', items => items.map(({ textContent }) => textContent))))
  } finally {
    example.stdin.end()
    await Promise.all([browser.close(), client.close()])
  }
}
