// npm run bench: our links beside their peers, in separate processes, every message checked.
//   --workloads oneway,rtt,… --contenders net,nats,…  which ones (all)
//   --dur MS (1500)   --runs N (3)           how long and how often; figures are medians
//   --quiet MS (0)                           before each measurement wait up to so long for the machine to be idle
//   --out FILE                               all results as JSON, written after every measurement
//   --from FILE                              measures nothing, tells about these results
//   --update                                 puts what it tells into docs/benchmarks.md
//   --quick                                  few workloads, once and briefly: shows that it works, not how fast
//   --work packets                           the packets instead, beside the codecs and flecks; also a part of --quick
//   --work sockety                           Sockety instead, beside HTTP/2 and bare connections; also a part of --quick
//   --work net                               streams instead, beside Node's own and a proxy; also a part of --quick
//   --work nats                              sockets on NATS instead, beside NATS's own client; also a part of --quick
import { readFileSync } from 'node:fs'
import { arch, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { chosenCases } from './cases.mjs'
import { compare, tell, tellFailures } from './comparison.mjs'
import { chosenContenders } from './contenders.mjs'
import { updateSection } from './document.mjs'
import { floors } from './floors.mjs'
import { benchNats } from './nats/main.mjs'
import { benchNet } from './net/main.mjs'
import { benchPackets } from './packets/main.mjs'
import { benchSockety } from './sockety/main.mjs'

const { values: given } = parseArgs({
  options: {
    workloads: { type: 'string' },
    work: { type: 'string' },
    contenders: { type: 'string' },
    dur: { type: 'string' },
    runs: { type: 'string' },
    quiet: { type: 'string', default: '0' },
    out: { type: 'string' },
    from: { type: 'string' },
    update: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
  },
})
// Milliseconds, so that all of a work takes less than six minutes.
const usual = { net: 800 }
const runs = Number(given.runs ?? (given.quick ? 1 : 3))
const dur = Number(given.dur ?? (given.quick ? 100 : (usual[given.work] ?? 1500)))
const cpu = `${arch()}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}`
const setting = `Node ${process.version}, ${cpu}; ${dur} ms, ${runs} runs, medians; ${new Date().toISOString().slice(0, 10)}.`
const limit = Number(given.quiet)
// Other kinds of contenders.
const others = { packets: benchPackets, sockety: benchSockety, net: benchNet, nats: benchNats }
const work = others[given.work ?? given.workloads] ? (given.work ?? given.workloads) : undefined
if (given.work !== undefined && work === undefined)
  throw Error(`no work '${given.work}'; there are ${Object.keys(others).join(', ')}`)
for (const [name, measure] of Object.entries(others)) {
  if (work !== name && (work !== undefined || !given.quick || given.workloads)) continue
  await measure({
    quick: given.quick,
    out: given.out,
    runs,
    dur,
    limit,
    update: given.update && work === name,
    setting,
  })
}
if (work !== undefined) process.exit()
const contenders = chosenContenders(given.contenders?.split(','))
const cases = chosenCases(given.workloads?.split(','), given.quick)
const all = given.from
  ? JSON.parse(readFileSync(given.from, 'utf8'))
  : await compare({ setting, cases, contenders, runs, dur, limit, out: given.out })
// Floors are for whoever measures properly.
const told = tell(all, { cases, contenders, heading: 'Floors', ...(given.quick ? {} : { floors }) })
console.log(`\n${told}\n`)
tellFailures(all.failures)
if (given.update) updateSection('benchmark', told)
