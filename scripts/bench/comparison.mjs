// Contenders side by side at the same cases, each in processes of its own.
import { writeFileSync } from 'node:fs'
import { figures } from './cases.mjs'
import { verdict } from './floors.mjs'
import { withHarness } from './harness.mjs'
import { quiet } from './quiet.mjs'
import { median, significant, table } from './report.mjs'

/** Results by name of the case, then of the contender, one for each run; and what failed. `out`: a file that gets them. */
export async function compare({ setting, cases, contenders, runs, dur, limit, out }) {
  const all = { setting, results: {}, failures: [] }
  // The contenders take turns, so that a busy minute of the machine hits all of them.
  for (let run = 1; run <= runs; run++) {
    for (const each of cases) {
      for (const [name, contender] of Object.entries(contenders)) {
        if (!contender.workloads.includes(each.workload)) continue
        await quiet(limit)
        await measure(all, each, [name, contender], dur, `run ${run} of ${runs}`)
        if (out) writeFileSync(out, JSON.stringify(all, undefined, 1))
      }
    }
  }
  return all
}

async function measure({ results, failures }, each, [name, contender], dur, run) {
  const label = `${run}, ${each.name}, ${name}`
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

/** Tells about results as tables. `floors`: what was promised, under that heading; none for whoever measures briefly. */
export function tell({ setting, results }, { cases, contenders, peers, floors, heading }) {
  const each = Object.values(results).flatMap(ofCase => Object.values(ofCase).flat())
  if (each.length === 0) return 'Nothing was measured.'
  const medians = map(results, ofCase => map(ofCase, median))
  const foreign = median(each.map(({ foreign }) => ({ foreign }))).foreign
  const lines = [
    `${setting} Cores that other work kept busy meanwhile: ${significant(foreign)}.`,
    table(cases, contenders, medians, peers),
    ...(floors ? [`### ${heading}`, verdict(medians, floors)] : []),
  ]
  return lines.join('\n\n')
}

/** Prints what failed, which makes the program fail. */
export function tellFailures(failures) {
  // The rest of it, where it happened, is in the file.
  for (const failure of failures) console.log(`FAILED ${failure.split('\n')[0]}`)
  if (failures.length > 0) process.exitCode = 1
}

function map(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]))
}
