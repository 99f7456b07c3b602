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
import { readFileSync, writeFileSync } from 'node:fs'
import { arch, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { chosenCases, figures } from './cases.mjs'
import { chosenContenders } from './contenders.mjs'
import { updateSection } from './document.mjs'
import { verdict } from './floors.mjs'
import { withHarness } from './harness.mjs'
import { benchPackets } from './packets/main.mjs'
import { quiet } from './quiet.mjs'
import { median, significant, table } from './report.mjs'
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
const runs = Number(given.runs ?? (given.quick ? 1 : 3))
const dur = Number(given.dur ?? (given.quick ? 100 : 1500))
// Other kinds of contenders.
const others = { packets: benchPackets, sockety: benchSockety }
const work = others[given.work ?? given.workloads] ? (given.work ?? given.workloads) : undefined
for (const [name, measure] of Object.entries(others)) {
  if (work !== name && (work !== undefined || !given.quick || given.workloads)) continue
  const [limit, update] = [Number(given.quiet), given.update && work === name]
  await measure({ quick: given.quick, runs, dur, limit, update })
}
if (work !== undefined) process.exit()
const contenders = chosenContenders(given.contenders?.split(','))
const cases = chosenCases(given.workloads?.split(','), given.quick)
const cpu = `${arch()}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}`
const setting = `Node ${process.version}, ${cpu}; ${dur} ms, ${runs} runs, medians; ${new Date().toISOString().slice(0, 10)}.`

// `results`: by name of the case, then of the contender, a result for each run.
const all = given.from ? JSON.parse(readFileSync(given.from, 'utf8')) : await measureAll()
const told = tell(all)
console.log(`\n${told}\n`)
// The rest of it, where it happened, is in the file.
for (const failure of all.failures) console.log(`FAILED ${failure.split('\n')[0]}`)
if (all.failures.length > 0) process.exitCode = 1
if (given.update) updateSection('benchmark', told)

async function measureAll() {
  const all = { setting, results: {}, failures: [] }
  // The contenders take turns, so that a busy minute of the machine hits all of them.
  for (let run = 1; run <= runs; run++) {
    for (const each of cases) {
      for (const [name, contender] of Object.entries(contenders)) {
        if (!contender.workloads.includes(each.workload)) continue
        await quiet(Number(given.quiet))
        await measure(all, each, name, contender, run)
        if (given.out) writeFileSync(given.out, JSON.stringify(all, undefined, 1))
      }
    }
  }
  return all
}

async function measure({ results, failures }, each, name, contender, run) {
  const label = `run ${run} of ${runs}, ${each.name}, ${name}`
  try {
    const result = await withHarness(contender, harness => each.measure(harness, each, dur))
    const ofCase = (results[each.name] ??= {})
    ;(ofCase[name] ??= []).push(result)
    process.stderr.write(`${label}: ${figures[each.figure].show(result[each.figure])}\n`)
  } catch (err) {
    failures.push(`${label}: ${err.message}`)
    process.stderr.write(`${label}: FAILED\n`)
  }
}

function tell({ setting, results }) {
  const each = Object.values(results).flatMap(ofCase => Object.values(ofCase).flat())
  if (each.length === 0) return 'Nothing was measured.'
  const medians = map(results, ofCase => map(ofCase, median))
  const foreign = median(each.map(({ foreign }) => ({ foreign }))).foreign
  const lines = [
    `${setting} Cores that other work kept busy meanwhile: ${significant(foreign)}.`,
    table(cases, contenders, medians),
    // Floors are for whoever measures properly.
    ...(given.quick ? [] : ['### Floors', verdict(medians)]),
  ]
  return lines.join('\n\n')
}

function map(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]))
}
