// Lets the fuzzers look for new inputs: `npm run fuzz -- --seconds 60 --only socket,broker`. What they find is minimised into
// fuzz/corpus/ with `--merge`; an input that fails is left in fuzz/artifacts/ and shown. Needs no nightly Rust and no cargo-fuzz.
import { mkdirSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { run } from './util/run.mjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    only: { type: 'string' },
    merge: { type: 'boolean', default: false },
  },
})
const targets = readdirSync('fuzz/corpus')
  .filter(name => !name.startsWith('.'))
  .filter(name => values.only?.split(',').includes(name) ?? true)

// What cargo-fuzz passes, without a sanitizer: there is no `unsafe` in what is fuzzed.
const flags = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '--cfg=fuzzing',
]
const host = /host: (.*)/.exec((await run('rustc', ['-vV'], { quiet: true })).text)?.[1]
const folder = process.env.CARGO_TARGET_DIR ? `${process.env.CARGO_TARGET_DIR}/fuzz` : 'fuzz/target'
const built = await run(
  'cargo',
  ['build', '--release', '--manifest-path', 'fuzz/Cargo.toml', '--target', host],
  {
    env: { RUSTC_BOOTSTRAP: '1', RUSTFLAGS: flags.join(' '), CARGO_TARGET_DIR: folder },
  },
)
if (built.code !== 0) process.exit(1)

let failed = 0
let executions = 0
mkdirSync('fuzz/artifacts', { recursive: true })
for (const name of targets) {
  const program = `${folder}/${host}/release/${name}`
  const corpus = `fuzz/corpus/${name}`
  const found = `fuzz/found/${name}`
  mkdirSync(found, { recursive: true })
  const { code, text } = await run(
    program,
    [
      found,
      corpus,
      `-max_total_time=${values.seconds}`,
      '-max_len=600',
      '-timeout=10',
      '-print_final_stats=1',
      `-artifact_prefix=fuzz/artifacts/${name}-`,
    ],
    { quiet: true },
  )
  const count = Number(/stat::number_of_executed_units: (\d+)/.exec(text)?.[1] ?? 0)
  const coverage = /cov: (\d+)(?!.*cov: )/s.exec(text)?.[1]
  executions += count
  console.log(
    `${code === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${count} executions, coverage ${coverage}`,
  )
  if (code !== 0) {
    failed += 1
    console.log(text.slice(-3000))
  }
  if (values.merge) await run(program, ['-merge=1', '-max_len=600', corpus, found], { quiet: true })
}
console.log(`\n${executions} executions, ${failed} of ${targets.length} targets failed`)
process.exitCode = failed === 0 ? 0 : 1
