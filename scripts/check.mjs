// All that CI runs. Every step runs even when an earlier one failed; the last line sums the tests up, and each
// failed step that is no test counts as one failed. `--only format,lint` runs the steps named.
import { fileURLToPath } from 'node:url'
import { docs } from './docs.mjs'
import { examples } from './examples.mjs'
import { instructions } from './instructions/main.mjs'
import { pack } from './pack.mjs'
import { test } from './test.mjs'
import { bin, has, run } from './util/run.mjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const ok = async (...commands) => {
  let all = true
  for (const command of commands) all = (await command()).code === 0 && all
  return all
}
const cargo =
  (...args) =>
  () =>
    run('cargo', args)
const denied = ['--', '--deny', 'warnings']

const steps = {
  format: () => ok(cargo('fmt', '--check')),
  // Formatting, lint rules and sorted imports of everything that is not Rust.
  lint: () =>
    ok(
      () => bin(['@biomejs/biome', 'biome'], 'ci', `--colors=${process.stdout.isTTY ? 'force' : 'off'}`, '.'),
      // Each floor (Cargo.toml): the state machines alone, with the network and NATS, with Node-API and without NATS.
      cargo('clippy', '--no-default-features', '--all-targets', ...denied),
      cargo('clippy', '--no-default-features', '--features', 'nats', '--all-targets', ...denied),
      cargo('clippy', '--no-default-features', '--features', 'node', ...denied),
      cargo('clippy', '--no-default-features', '--features', 'shuttle', '--all-targets', ...denied),
    ),
  types: () =>
    ok(
      () => bin(['typescript', 'tsc'], '--project', 'tsconfig.json', '--noEmit'),
      // Tests, and that lib/ fits index.d.ts (__test__/package/parity.test-d.ts).
      () => bin(['typescript', 'tsc'], '--project', 'tsconfig.test.json'),
    ),
  examples,
  docs,
  pack,
  // Licences, sources and doubles of what we depend on. Building the tool takes longer than all else, so only where it is already.
  deny: async () => {
    if (await has('cargo', ['deny', '--version']))
      return ok(cargo('deny', 'check', 'licenses', 'bans', 'sources'))
    console.log('skipped: cargo-deny is not installed (cargo install cargo-deny)')
    return true
  },
  // The short forms of `npm run soak` and `npm run asan`.
  soak: () =>
    ok(() => run(process.execPath, ['--expose-gc', '--no-warnings', 'scripts/soak.mjs', '--cycles', '600'])),
  asan: () => ok(() => run(process.execPath, ['scripts/asan.mjs'])),
  // That the benchmark works and every message comes whole; how fast is for people (docs/internals/performance.md).
  bench: () => ok(() => run(process.execPath, ['scripts/bench/main.mjs', '--quick'])),
  instructions,
  test: async () => {
    sum = await test()
    return sum.failed === 0 && sum.passed > 0
  },
}

let sum = { passed: 0, failed: 0 }
const at = process.argv.indexOf('--only')
const chosen = at < 0 ? Object.keys(steps) : process.argv[at + 1].split(',')
const report = []
for (const name of chosen) {
  if (!steps[name]) throw Error(`no step '${name}'; there are ${Object.keys(steps).join(', ')}`)
  console.log(`\n━━ ${name} ━━`)
  const start = Date.now()
  const passed = await steps[name]()
  report.push({ name, passed, seconds: (Date.now() - start) / 1000 })
}

console.log('')
for (const { name, passed, seconds } of report) {
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.toFixed(1).padStart(6)} s`)
}
const broken = report.filter(({ name, passed }) => !passed && name !== 'test').length
const failed = sum.failed + broken
if (chosen.includes('test')) console.log(`\n${sum.passed} passed, ${failed} failed`)
process.exitCode = report.every(({ passed }) => passed) ? 0 : 1
