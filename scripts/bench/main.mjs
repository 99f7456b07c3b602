// npm run bench: our links beside their peers, in separate processes, every message checked.
//   --work oneway,rtt,… --ways net,nats,…   which ones (all)
//   --dur MS (1500)   --runs N (3)           how long and how often; figures are medians
//   --quiet MS (0)                           before each measurement wait up to so long for the machine to be idle
//   --out FILE                               all results as JSON, written after every measurement
//   --quick                                  few workloads, once and briefly: shows that it works, not how fast
import { writeFileSync } from 'node:fs'
import { arch, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { chosenCases, figures } from './cases.mjs'
import { verdict } from './floors.mjs'
import { quiet } from './quiet.mjs'
import { median, significant, table } from './report.mjs'
import { withStage } from './stage.mjs'
import { chosenWays } from './ways.mjs'

const { values: given } = parseArgs({
  options: {
    work: { type: 'string' },
    ways: { type: 'string' },
    dur: { type: 'string' },
    runs: { type: 'string' },
    quiet: { type: 'string', default: '0' },
    out: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
})
const dur = Number(given.dur ?? (given.quick ? 100 : 1500))
const runs = Number(given.runs ?? (given.quick ? 1 : 3))
const ways = chosenWays(given.ways?.split(','))
const cases = chosenCases(given.work?.split(','), given.quick)

/** By name of the case, then of the way: a result for each run. */
const results = {}
const failures = []
// The ways take turns, so that a busy minute of the machine hits all of them.
for (let run = 1; run <= runs; run++) {
  for (const each of cases) {
    for (const [name, way] of Object.entries(ways)) {
      if (way.works.includes(each.work)) await measure(each, name, way, run)
    }
  }
}
report()

async function measure(each, name, way, run) {
  await quiet(Number(given.quiet))
  const label = `run ${run} of ${runs}, ${each.name}, ${name}`
  try {
    const result = await withStage(way, stage => each.measure(stage, each, dur))
    const ofCase = (results[each.name] ??= {})
    ;(ofCase[name] ??= []).push(result)
    process.stderr.write(`${label}: ${figures[each.figure].show(result[each.figure])}\n`)
  } catch (err) {
    failures.push(`${label}: ${err.message}`)
    process.stderr.write(`${label}: FAILED\n`)
  }
  if (given.out) writeFileSync(given.out, JSON.stringify({ dur, results, failures }, undefined, 1))
}

function report() {
  const medians = map(results, ofCase => map(ofCase, median))
  const foreign = Object.values(results).flatMap(ofCase =>
    Object.values(ofCase)
      .flat()
      .map(r => r.foreign),
  )
  const cpu = `${arch()}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}`
  console.log(`\nNode ${process.version}, ${cpu}; ${dur} ms, ${runs} runs, medians.`)
  console.log(
    `Cores that other work kept busy: ${significant(median(foreign.map(value => ({ value }))).value)}.`,
  )
  console.log(`\n${table(cases, ways, medians)}\n`)
  if (!given.quick) console.log(`Floors:\n\n${verdict(medians)}\n`)
  for (const failure of failures) console.log(`FAILED ${failure}`)
  if (failures.length > 0) process.exitCode = 1
}

function map(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]))
}
