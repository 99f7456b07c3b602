// npm run profile: where the time of a message goes, in each process; one workload over one of our links, as the benchmark runs it.
//   --case 'oneway 16 B' --contender 'selvedge wire'   which (these)
//   --dur MS (3000)   --top N (8)                how long, and how many functions of each process
//   --update                                     puts what it tells into docs/benchmarks.md
// Needs Linux and `perf` (`apt install linux-perf`), and a kernel that lets it look (root, or perf_event_paranoid below 3).
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cases } from '../bench/cases.mjs'
import { chosenContenders } from '../bench/contenders.mjs'
import { updateSection } from '../bench/document.mjs'
import { withHarness } from '../bench/harness.mjs'
import { markdown, significant } from '../bench/report.mjs'
import { has, run } from '../util/run.mjs'
import { execArgv, sampled } from './perf.mjs'

const { values: given } = parseArgs({
  options: {
    case: { type: 'string', default: 'oneway 16 B' },
    contender: { type: 'string', default: 'selvedge wire' },
    dur: { type: 'string', default: '3000' },
    top: { type: 'string', default: '8' },
    update: { type: 'boolean', default: false },
  },
})
process.chdir(fileURLToPath(new URL('../..', import.meta.url)))
if (await has('perf')) await main()
else console.log('SKIPPED: no perf here (`apt install linux-perf`), so nothing was sampled.')

async function main() {
  const measured = cases.find(({ name }) => name === given.case)
  if (!measured) throw Error(`no case '${given.case}'; there are ${cases.map(({ name }) => name).join(', ')}`)
  const [contender] = Object.values(chosenContenders([given.contender]))
  process.env.NAPI_RS_NATIVE_LIBRARY_PATH = await build()
  const { result, samples } = await profile(measured, contender)
  const told = tell(result.cpu, samples)
  console.log(`\n${told}\n`)
  if (given.update) updateSection('profile', told)
}

/** Of a release with names: the path of the addon. */
async function build() {
  const { code } = await run('npm', ['run', '--silent', 'build:profiled'])
  if (code !== 0) throw Error('no addon to profile was built')
  return resolve('target/profiled/selvedge.node')
}

/** `samples` by role, of what lies between the first send and the last arrival. */
async function profile(measured, contender) {
  let samples
  const during = async (measure, pids) => {
    const taken = await sampled(measure, Object.values(pids).flat())
    samples = Object.entries(pids).map(([role, own]) => [
      role,
      taken.samples.filter(one => [own].flat().includes(one.pid)),
    ])
    return taken.result
  }
  const result = await withHarness(
    contender,
    harness => measured.measure(harness, measured, Number(given.dur)),
    {
      execArgv,
      during,
    },
  )
  return { result, samples: Object.fromEntries(samples) }
}

function tell(cpu, samples) {
  const roles = Object.entries(samples).filter(([, taken]) => taken.length > 0)
  const rows = roles.flatMap(([role, taken]) => {
    const cost = count => significant((cpu[role] * count) / taken.length)
    const parts = counted(taken.map(({ part }) => part))
    const functions = counted(taken.map(({ part, name }) => `${part}: \`${name}\``)).slice(
      0,
      Number(given.top),
    )
    return [
      [
        `**${role}**`,
        parts.map(([part, count]) => `${part} ${cost(count)}`).join(', '),
        significant(cpu[role]),
      ],
      ...functions.map(([name, count]) => ['', name, cost(count)]),
    ]
  })
  const setting = `${given.case}, ${given.contender}, ${given.dur} ms; µs of CPU a message, by samples of what runs.`
  return `${setting}\n\n${markdown(['process', 'where', 'µs'], rows)}`
}

/** `[value, how often]`, the most frequent first. */
function counted(values) {
  const counts = new Map()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}
