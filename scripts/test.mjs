// All tests: Rust without the network, with it, thread interleavings, Rust documentation, then jest. Shows each runner's own output and ends with
// one line that sums them up. A runner that fails, or finds no test, fails the whole.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bin, has, run } from './util/run.mjs'

/** Resolves with `{passed, failed, broken}`: the last are the runners that did not end well. */
export async function test() {
  const sum = { passed: 0, failed: 0, broken: [] }
  for (const [name, runner] of [
    ['cargo: state machines', machines],
    ['cargo: network', network],
    ['interleavings', interleavings],
    ['cargo --doc', documentation],
    ['jest', javascript],
  ]) {
    console.log(`\n── ${name} ──`)
    const { code, passed, failed, mayBeEmpty = false } = await runner()
    if (passed + failed === 0 && !mayBeEmpty) console.log(`${name}: no test ran`)
    sum.passed += passed
    // A runner that broke down without a failing test (does not compile, crashed) counts as one.
    const isBroken = failed > 0 || code !== 0 || (passed === 0 && !mayBeEmpty)
    sum.failed += Math.max(failed, isBroken ? 1 : 0)
    if (isBroken) sum.broken.push(name)
  }
  return sum
}

/** Everything that compiles without tokio: the unit tests of state machines, the simulation, the walls. */
const machines = () => engine(['--lib', '--tests'])

/** With `transport` and `runtime`; in `tests/` what needs the feature (Cargo.toml). */
const network = () => engine(['--features', 'nats', '--lib', '--test', 'corpus'])

async function engine(args) {
  if (!(await has('cargo', ['nextest', '--version']))) return cargoTest(args)
  const { code, text } = await run('cargo', [
    'nextest',
    'run',
    '--no-default-features',
    '--no-fail-fast',
    ...args,
  ])
  // "Summary [0.1s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 0 skipped"
  const line = /^ *Summary .*$/m.exec(text)?.[0] ?? ''
  return {
    code,
    passed: count(line, /(\d+) passed/g),
    failed: count(line, /(\d+) (?:failed|timed out|exec failed)/g),
  }
}

/** The queues between threads, under a scheduler that tries what may happen: another build of the same crate. */
const interleavings = () => cargoTest(['--features', 'shuttle', '--lib', 'interleavings'])

async function documentation() {
  return { ...(await cargoTest(['--features', 'nats', '--doc'])), mayBeEmpty: true }
}

async function cargoTest(args) {
  const { code, text } = await run('cargo', ['test', '--no-default-features', '--no-fail-fast', ...args])
  // One "test result: ok. 10 passed; 0 failed; …" for each program.
  const lines = text.match(/^test result: .*$/gm)?.join('\n') ?? ''
  return { code, passed: count(lines, /(\d+) passed/g), failed: count(lines, /(\d+) failed/g) }
}

async function javascript() {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-jest-'))
  const report = join(folder, 'report.json')
  try {
    // What is still open then keeps Jest from exiting: a defect, which must not become a run without an end.
    const lastWords = 'Test results written to'
    const { code } = await bin('jest', '--json', `--outputFile=${report}`, { lastWords })
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(readFileSync(report))
    return { code, passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites }
  } catch {
    return { code: 1, passed: 0, failed: 0 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const count = (text, pattern) => [...text.matchAll(pattern)].reduce((sum, match) => sum + Number(match[1]), 0)

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.chdir(fileURLToPath(new URL('..', import.meta.url)))
  const { passed, failed, broken } = await test()
  if (broken.length > 0) console.log(`\nFAILED: ${broken.join(', ')}`)
  console.log(`\n${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}
