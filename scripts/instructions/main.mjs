// npm run instructions [-- --update]: what a message costs on each hot path, in instructions, allocations and bytes that stay,
// counted by valgrind, and compared with benches/instructions.json. Counts, since wall time lies. `--update` renews the file.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { markdown } from '../bench/report.mjs'
import { has, run } from '../util/run.mjs'
import { measure } from './measure.mjs'

const file = new URL('../../benches/instructions.json', import.meta.url)
const renew = 'npm run instructions -- --update'
const tolerance = 0.05
// A message: below it a difference is noise.
const least = { instructions: 0, allocations: 0.05, kept: 8 }

/** Says whether nothing has become dearer. */
export async function instructions({ update = false } = {}) {
  if (!(await has('valgrind'))) {
    console.log('SKIPPED: no valgrind here (`apt install valgrind`), so nothing was counted.')
    return true
  }
  const compiler = await version()
  const counts = await measure()
  if (!counts) return false
  if (update) {
    writeFileSync(file, `${JSON.stringify({ compiler, counts }, undefined, 2)}\n`)
    console.log(table(counts, {}))
    return true
  }
  const baseline = JSON.parse(readFileSync(file, 'utf8'))
  console.log(table(counts, baseline.counts))
  if (baseline.compiler !== compiler) {
    console.log(`Not compared: the baseline is of ${baseline.compiler}, this is ${compiler}. Renew: ${renew}`)
    return true
  }
  return verdict(counts, baseline.counts)
}

/** The compiler and what it compiles for: other ones make other instructions. */
async function version() {
  const { text } = await run('rustc', ['-vV'], { quiet: true })
  const field = name => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1]
  return `rustc ${field('release')} ${field('host')}`
}

function verdict(counts, baseline) {
  let ok = true
  for (const [name, count] of Object.entries(counts)) {
    const known = baseline[name]
    if (!known) {
      console.log(`FAILED ${name} is not in the baseline. Renew: ${renew}`)
      ok = false
      continue
    }
    for (const unit of Object.keys(least)) {
      const slack = Math.max(known[unit] * tolerance, least[unit])
      const more = count[unit] - known[unit]
      if (Math.abs(more) <= slack) continue
      ok &&= more < 0
      const how = `${known[unit]} → ${count[unit]} ${unit} a message`
      console.log(more > 0 ? `FAILED ${name}: ${how}` : `BETTER ${name}: ${how}. Keep it: ${renew}`)
    }
  }
  if (!ok) console.log(`If that is the price of something wanted, say so in the commit, and renew: ${renew}`)
  return ok
}

function table(counts, baseline) {
  const change = (now, before) => (before ? `${((now / before - 1) * 100).toFixed(1)} %` : '')
  const head = ['scenario', 'unit', 'a message', 'baseline', 'change']
  const rows = Object.entries(counts).flatMap(([name, count]) =>
    Object.entries(count).map(([unit, value]) => {
      const before = baseline[name]?.[unit]
      return [name, unit, String(value), String(before ?? ''), change(value, before)]
    }),
  )
  return markdown(head, rows)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.chdir(fileURLToPath(new URL('../..', import.meta.url)))
  process.exitCode = (await instructions({ update: process.argv.includes('--update') })) ? 0 : 1
}
