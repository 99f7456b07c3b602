// npm run bench -- --work packets: the codec beside its peers in one process, whole messages beside flecks' in two, and what
// importing costs. Figures of the codec are CPU time, the best of interleaved rounds; those of messages are medians.
import { fork } from 'node:child_process'
import { arch, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { updateSection } from '../document.mjs'
import { quiet } from '../quiet.mjs'
import { markdown, significant } from '../report.mjs'
import { measureImports } from './import.mjs'
import { samples } from './samples.mjs'

const OURS = 'selvedge/packets'
const file = name => fileURLToPath(new URL(name, import.meta.url))

/** Resolves with whether everything was measured. */
export async function benchPackets({ quick, runs, dur, limit, update }) {
  await quiet(limit)
  const codecs = await measureCodecs(quick ? 1 : 12, quick ? 2 : 25)
  const messages = await measureMessages(runs, dur, limit)
  const imports = measureImports(quick ? 1 : 9)
  const told = [
    setting({ quick, runs, dur }),
    '### Encode / decode, ns of CPU a packet',
    codecTable(codecs, ({ encode, decode }) => `${significant(encode)} / ${significant(decode)}`),
    '### Bytes',
    codecTable(codecs, ({ bytes }) => significant(bytes)),
    '### Whole packets, two processes',
    messageTable(messages),
    '### Import, ms of CPU',
    importTable(imports),
    // Floors are for whoever measures properly.
    ...(quick ? [] : ['### Floors of the packets', floors(codecs, messages, imports[OURS])]),
  ].join('\n\n')
  console.log(`\n${told}\n`)
  if (update) updateSection('packets', told)
}

function setting({ quick, runs, dur }) {
  const cpu = `${arch()}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}`
  const how = quick ? 'once, briefly' : `codec: best of 12; messages: ${dur} ms, median of ${runs}`
  return `Node ${process.version}, ${cpu}; ${how}; ${new Date().toISOString().slice(0, 10)}.`
}

async function measureCodecs(rounds, dur) {
  const worker = fork(file('codec-worker.mjs'), [rounds, dur], { stdio: 'inherit' })
  return await new Promise((resolve, reject) => {
    worker.once('message', ({ results }) => resolve(results))
    worker.once('exit', code => code === 0 || reject(Error(`the codecs ended with ${code}`)))
  })
}

async function measureMessages(runs, dur, limit) {
  const results = { flecks: [], selvedge: [] }
  for (let run = 0; run < runs; run++) {
    for (const contender of Object.keys(results)) {
      await quiet(limit)
      results[contender].push(await measureContender(contender, dur))
    }
  }
  return Object.fromEntries(
    Object.entries(results).map(([contender, all]) => [
      contender,
      Object.fromEntries(Object.keys(all[0]).map(figure => [figure, median(all.map(each => each[figure]))])),
    ]),
  )
}

async function measureContender(contender, dur) {
  const [server, client] = [new Worker(contender), new Worker(contender)]
  try {
    const { address } = await server.do('serve')
    await client.do('connect', { address })
    await client.do('calls', { dur: Math.min(400, dur), parallel: 64 })
    const one = await client.do('calls', { dur, parallel: 1 })
    const many = await client.do('calls', { dur, parallel: 64 })
    const warm = await server.do('posts', { first: 0, dur: Math.min(400, dur) })
    await client.do('received', { count: warm.next })
    const { start, next } = await server.do('posts', { first: warm.next, dur })
    const { last } = await client.do('received', { count: next })
    return {
      'calls, one by one': one.rate,
      'calls, 64 in flight': many.rate,
      posts: ((next - warm.next) / (last - start)) * 1000,
    }
  } finally {
    server.end()
    client.end()
  }
}

/** A process that does what it is told. */
class Worker {
  #process
  #id = 0

  constructor(contender) {
    this.#process = fork(file('message-worker.mjs'), [contender], { stdio: 'inherit' })
  }

  do(task, options = {}) {
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      const handle = answer => {
        if (answer.id !== id) return
        this.#process.off('message', handle)
        if (answer.error === undefined) resolve(answer.result)
        else reject(Error(answer.error))
      }
      this.#process.on('message', handle)
      this.#process.once('exit', () => reject(Error('the process is gone')))
      this.#process.send({ id, task, options })
    })
  }

  end() {
    this.#process.kill()
  }
}

function codecTable(results, show) {
  const names = samples.map(({ name }) => name)
  const codecs = Object.keys(results[names[0]])
  return markdown(
    ['codec', ...names],
    codecs.map(codec => [codec, ...names.map(name => show(results[name][codec]))]),
  )
}

function messageTable({ flecks, selvedge }) {
  const rows = Object.keys(selvedge).map(figure => [
    figure,
    ...[selvedge[figure], flecks[figure]].map(rate => `${Math.round(rate).toLocaleString('en-US')} /s`),
    significant(selvedge[figure] / flecks[figure]),
  ])
  return markdown(['', OURS, 'as flecks', 'ratio'], rows)
}

function importTable({ node, ...imports }) {
  const rows = Object.entries(imports).map(([name, ms]) => [name, significant(ms)])
  return markdown(
    ['', '`require` alone'],
    [...rows, ['an empty program, `node -e 0`, in all', significant(node)]],
  )
}

function floors(codecs, { flecks, selvedge }, load) {
  const rows = []
  const row = (what, floor, goal, measured, isMost = false) => {
    const reached = bound => (isMost ? measured <= bound : measured >= bound)
    const told = reached(goal) ? 'goal' : reached(floor) ? 'floor' : 'NO'
    rows.push([what, String(floor), String(goal), significant(measured), told])
  }
  for (const [what, peer, mean, least] of [
    ['encode', 'schemapack', [2, 3], [1.4, 2]],
    ['decode', 'schemapack', [1.6, 2.2], [1.2, 1.5]],
    ['encode', 'protobufjs', [2, 3], [1.3, 1.7]],
    ['decode', 'protobufjs', [1.3, 1.8], [0.7, 1]],
  ]) {
    const ratios = samples
      .filter(({ counted }) => counted)
      .map(({ name }) => codecs[name][peer][what] / codecs[name][OURS][what])
    const product = ratios.reduce((a, b) => a * b, 1)
    row(`${what} ÷ ${peer}, geometric mean`, ...mean, product ** (1 / ratios.length))
    row(`${what} ÷ ${peer}, least`, ...least, Math.min(...ratios))
  }
  row('calls, 64 in flight ÷ flecks', 3, 6, selvedge['calls, 64 in flight'] / flecks['calls, 64 in flight'])
  row('posts ÷ flecks', 5, 15, selvedge.posts / flecks.posts)
  for (const name of ['move', 'chat 16', 'snap 100']) {
    row(`bytes of ${name} ÷ schemapack`, 1, 1, codecs[name][OURS].bytes / codecs[name].schemapack.bytes, true)
  }
  row('import, ms of CPU: `require` alone', 15, 15, load, true)
  return markdown(['what', 'floor', 'goal', 'measured', 'reached'], rows)
}

function median(values) {
  return values.sort((a, b) => a - b)[(values.length - 1) >> 1]
}
