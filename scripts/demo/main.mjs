// npm start [-- FILE]: a file and many small messages cross a broker that is killed twice on the way. Broker,
// server and client are three processes. Exits 0 only if everything arrived once, in order and unchanged.
import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Progress } from './progress.mjs'
import { Stage } from './stage.mjs'

const chunk = 64 * 1024
const count = 100_000
const killAt = 0.4
const downFor = 700 // ms
const deadline = 180_000 // ms
// Shorter files are over before anybody can pull a plug.
const longEnough = 128 * chunk

const path = process.argv[2] ?? process.execPath
let size
try {
  const stat = statSync(path)
  if (!stat.isFile()) throw Error('it is no file')
  size = stat.size
} catch (err) {
  console.error(`Cannot send ${path}: ${err.message}`)
  process.exit(2)
}

const stage = new Stage()
const progress = new Progress()
process.on('exit', () => stage.stop())
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    progress.clear()
    console.error('interrupted')
    process.exit(130)
  })
}

try {
  const results = await Promise.race([perform(), stage.broken, late()])
  progress.clear()
  process.exit(table(results) ? 0 : 1)
} catch (err) {
  progress.clear()
  console.error(`failed: ${err.message}`)
  process.exit(1)
}

async function late() {
  await sleep(deadline)
  throw Error(`not done within ${deadline / 1000} s`)
}

async function perform() {
  progress.note(`sending ${basename(path)} (${mega(size)} MB) and ${thousands(count)} small messages`)
  const address = await stage.startBroker()
  const server = stage.start('server', [address])
  await stage.next(server, 'ready')
  const planned = [size >= longEnough && 'file', 'small messages'].filter(Boolean)
  const kills = watch(server, [...planned])
  const client = stage.start('client', [address, path, String(chunk), String(count)], { mayEnd: true })
  const sent = await stage.next(client, 'result')
  await Promise.all(kills)
  server.send('report')
  return { sent, got: await stage.next(server, 'result'), planned: planned.length }
}

/** Draws what the server reports, and kills the broker once in each of the phases named. */
function watch(server, phases) {
  const kills = []
  server.on('message', message => {
    if (!message.progress) return
    const { bytes, small } = message.progress
    const [phase, part] = bytes < size ? ['file', bytes / size] : ['small messages', small / count]
    progress.show(phase, part)
    if (!phases.includes(phase) || part < killAt) return
    phases.splice(phases.indexOf(phase), 1)
    progress.note(`killing the broker at ${Math.round(part * 100)} % of the ${phase}`)
    const kill = stage.killBroker({ downFor })
    kill.then(() => progress.note('the broker is back'), stage.fail)
    kills.push(kill)
  })
  return kills
}

/** Prints what came of it; returns whether all is whole. */
function table({ sent, got, planned }) {
  const messages = sent.file.messages + sent.small.messages
  const arrived = got.file.seen + got.small.seen
  const both = name => got.file[name] + got.small[name]
  const lost = messages - arrived
  const same = sent.file.sha256 === got.sha256 && got.sha256 === got.announced
  const seconds = sent.file.seconds + sent.small.seconds
  const rows = [
    ['bytes sent', thousands(sent.file.bytes)],
    ['bytes arrived', thousands(got.bytes)],
    ['messages sent', thousands(messages)],
    ['messages arrived', thousands(arrived)],
    ['lost', lost],
    ['repeated', both('repeated')],
    ['out of order', both('disordered')],
    ['damaged', both('damaged')],
    ['SHA-256 sent', sent.file.sha256],
    ['SHA-256 arrived', got.sha256],
    ['broker kills survived', `${stage.kills} of ${planned}`],
    ['seconds (outages included)', seconds.toFixed(2)],
    ['MB/s (file)', (sent.file.bytes / 1e6 / sent.file.seconds).toFixed(1)],
    ['messages/s (small)', thousands(Math.round(sent.small.messages / sent.small.seconds))],
  ]
  const left = Math.max(...rows.map(([name]) => name.length))
  const right = Math.max(...rows.slice(0, 8).map(([, value]) => String(value).length))
  console.log('')
  for (const [name, value] of rows) console.log(`${name.padEnd(left)}  ${String(value).padStart(right)}`)
  const bad = lost + both('repeated') + both('disordered') + both('damaged')
  const whole = bad === 0 && same && got.bytes === sent.file.bytes && stage.kills === planned
  console.log(whole ? '\nWhole: everything arrived once, in order and unchanged.' : '\nNOT whole.')
  return whole
}

function mega(bytes) {
  return (bytes / 1e6).toFixed(1)
}

function thousands(n) {
  return n.toLocaleString('en-US')
}
