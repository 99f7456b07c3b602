// The simulation for longer, or one seed with its trace: `npm run sim -- --minutes 30`, `--seeds 2000`, `--seed 4711`. With both
// `--minutes` and `--seeds` it ends with whichever is over first; with `--gateways` all of its seeds are lives behind gateways.
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { run } from './util/run.mjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seeds: { type: 'string' },
    seed: { type: 'string' },
    from: { type: 'string' },
    gateways: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(availableParallelism()) },
  },
})
const cargo = (filter, env, quiet = false) =>
  run('cargo', ['test', '--no-default-features', '--test', 'sim', '--', ...filter], { env, quiet })

if (values.minutes === undefined) {
  const env =
    values.seed === undefined
      ? { SELVEDGE_SIM_SEEDS: values.seeds ?? '2000' }
      : { SELVEDGE_SIM_SEED: values.seed }
  const { code } = await cargo(['sockets_keep'], env)
  process.exitCode = code
} else {
  // Seeds that nobody has tried: the clock says where to begin.
  const from = Number(values.from ?? Math.floor(Date.now() / 1000) * 1000)
  const jobs = Number(values.jobs)
  await run('cargo', ['test', '--no-default-features', '--test', 'sim', '--no-run'])
  console.log(`seeds from ${from} on, ${jobs} at a time`)
  const runs = await Promise.all(
    Array.from({ length: jobs }, (_, job) =>
      cargo(
        ['a_long_run', '--ignored', '--nocapture'],
        {
          SELVEDGE_SIM_MINUTES: values.minutes,
          SELVEDGE_SIM_FROM: String(from + job),
          SELVEDGE_SIM_STRIDE: String(jobs),
          ...(values.gateways && { SELVEDGE_SIM_GATEWAYS: '1' }),
          ...(values.seeds && { SELVEDGE_SIM_SEEDS: String(Math.ceil(Number(values.seeds) / jobs)) }),
        },
        true,
      ),
    ),
  )
  for (const { code, text } of runs)
    console.log(code === 0 ? text.match(/^\d+ (?:seeds|faults).*$/gm).join('\n') : text.slice(-20_000))
  process.exitCode = runs.some(({ code }) => code !== 0) ? 1 : 0
}
