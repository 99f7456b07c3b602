// npm run bench [-- --dur MS --runs N --size BYTES,…]: sockets over every way to plug in, beside bare TCP, measured in
// turn in the same run. Every message is checked for order and completeness. Figures are medians of the runs.
import { arch, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { withStage } from './stage.mjs'

const { values: options } = parseArgs({
  options: {
    dur: { type: 'string', default: '1500' },
    runs: { type: 'string', default: '3' },
    size: { type: 'string', default: '16,1024,65536,1048576' },
  },
})
const dur = Number(options.dur)
const runs = Number(options.runs)
const sizes = options.size.split(',').map(Number)

const ways = {
  net: { module: 'net' },
  'in-process': { module: 'selvedge', together: true },
  'selvedge wire': { module: 'selvedge', broker: true, wire: 'selvedge' },
  'conat wire': { module: 'selvedge', broker: true, wire: 'conat' },
}

console.log(
  `Node ${process.version}, ${arch()}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${dur} ms, ${runs} runs`,
)
console.log(
  'net: 2 processes; in-process: 1; selvedge wire and conat wire: 3 (with a broker). CPU: all of them together.\n',
)
const columns = ['size', 'way', 'messages/s', 'MB/s', '÷ net', 'CPU µs/msg', 'p50 µs', 'p99 µs', 'p50 ÷ net']
const rows = [columns]
for (const size of sizes) {
  const results = Object.fromEntries(Object.keys(ways).map(name => [name, []]))
  // The ways take turns, so that a busy minute of the machine hits all of them.
  for (let run = 1; run <= runs; run++) {
    for (const name of Object.keys(ways)) {
      process.stderr.write(`${bytes(size)}, ${name}, run ${run} of ${runs}\n`)
      results[name].push(await measure(ways[name], size))
    }
  }
  const net = middle(results.net)
  for (const name of Object.keys(ways)) rows.push(row(size, name, middle(results[name]), net))
}
print(rows)

function measure(way, size) {
  // At most 1000 messages or 64 MiB under way.
  const window = Math.max(16, Math.min(1000, Math.floor((64 << 20) / size)))
  return withStage(way, window, async ({ sender, receiver, cpu }) => {
    await flow(300)
    const before = cpu()
    const { sent, wall } = await flow(dur)
    const cost = ((cpu() - before) * 1000) / sent
    await sender.do('trips', { dur: 200, size })
    const { p50, p99 } = await sender.do('trips', { dur: dur / 2, size })
    return { rate: (sent / wall) * 1000, cost, p50: p50 * 1000, p99: p99 * 1000 }

    async function flow(dur) {
      await receiver.do('reset')
      const { start, sent } = await sender.do('flow', { dur, size })
      const { last } = await receiver.do('all', { count: sent })
      return { sent, wall: last - start }
    }
  })
}

function middle(results) {
  const median = key => results.map(result => result[key]).sort((a, b) => a - b)[(results.length - 1) >> 1]
  return { rate: median('rate'), cost: median('cost'), p50: median('p50'), p99: median('p99') }
}

function row(size, name, { rate, cost, p50, p99 }, net) {
  return [
    bytes(size),
    name,
    Math.round(rate).toLocaleString('en-US'),
    ((rate * size) / 1e6).toFixed(1),
    (rate / net.rate).toFixed(2),
    Number.isNaN(cost) ? '–' : cost.toFixed(cost < 10 ? 2 : 0),
    p50.toFixed(0),
    p99.toFixed(0),
    (p50 / net.p50).toFixed(2),
  ]
}

function print(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map(cells => cells[i].length)))
  for (const cells of rows) {
    console.log(
      cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '),
    )
  }
}

function bytes(n) {
  return n < 1024 ? `${n} B` : n < 1 << 20 ? `${n / 1024} KiB` : `${n / (1 << 20)} MiB`
}
