// All tests: Rust without the network, with it, thread interleavings, Rust documentation, then jest. Shows each runner's own output and ends with
// one line that sums them up. A runner that fails, or finds no test, fails the whole.
//
// With RERUN_FAILED=1, as in CI, a few suites that fail are run once more, alone: a test that passes then is named as flaky
// in the last lines, and does not fail the run. It is a defect all the same, of the test or of what it tests.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bin, has, run } from './util/run.mjs'

/** Resolves with `{passed, failed, broken}`: the last are the runners that did not end well. */
export async function test() {
  const sum = { passed: 0, failed: 0, broken: [], flaky: [], failures: [] }
  for (const [name, runner] of [
    ['cargo: state machines', machines],
    ['cargo: network', network],
    ['interleavings', interleavings],
    ['cargo --doc', documentation],
    ['jest', javascript],
  ]) {
    console.log(`\n── ${name} ──`)
    const { code, passed, failed, flaky = [], failures = [], mayBeEmpty = false } = await runner()
    sum.flaky.push(...flaky)
    sum.failures.push(...failures.flatMap(names))
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

/** More suites than these do not fail by chance. */
const MAX_RERUN = 8

async function javascript() {
  const first = await jest()
  const suites = first.failures.map(({ suite }) => suite)
  // Without the names of what failed it was jest itself.
  const isRerun = process.env.RERUN_FAILED === '1' && suites.length > 0 && suites.length <= MAX_RERUN
  if (!isRerun) return first
  console.log(`\n── jest: once more, alone: ${suites.join(', ')} ──`)
  const again = await jest('--runInBand', '--runTestsByPath', ...suites)
  if (again.code !== 0) return { ...first, failed: Math.max(again.failed, 1), failures: again.failures }
  const flaky = first.failures.flatMap(names)
  return { code: 0, passed: first.passed + first.failed, failed: 0, flaky }
}

async function jest(...args) {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-jest-'))
  const report = join(folder, 'report.json')
  try {
    // What is still open then keeps Jest from exiting: a defect, which must not become a run without an end.
    const lastWords = 'Test results written to'
    const { code } = await bin('jest', '--json', `--outputFile=${report}`, ...args, { lastWords })
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, testResults } = JSON.parse(
      readFileSync(report),
    )
    const failed = numFailedTests + numRuntimeErrorTestSuites
    return { code, passed: numPassedTests, failed, failures: testResults.flatMap(failure) }
  } catch {
    return { code: 1, passed: 0, failed: 0, failures: [] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A suite of jest's report with the names of its tests that failed; nothing when none did. */
function failure({ name, status, assertionResults }) {
  if (status !== 'failed') return []
  const tests = assertionResults.filter(test => test.status === 'failed').map(test => test.fullName)
  return [{ suite: relative(process.cwd(), name), tests: tests.length > 0 ? tests : ['the suite itself'] }]
}

const names = ({ suite, tests }) => tests.map(name => `${suite}: ${name}`)

const count = (text, pattern) => [...text.matchAll(pattern)].reduce((sum, match) => sum + Number(match[1]), 0)

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.chdir(fileURLToPath(new URL('..', import.meta.url)))
  const { passed, failed, broken, flaky, failures } = await test()
  for (const name of flaky) console.log(`FLAKY, passed only when run once more: ${name}`)
  // Once more, where who sees only the end of a long report finds them.
  for (const name of failures) console.log(`FAILED ${name}`)
  if (broken.length > 0) console.log(`\nFAILED: ${broken.join(', ')}`)
  console.log(`\n${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}
