// Samples of running processes, taken by Linux's `perf`: which function of whom had a core, JavaScript and Rust alike.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep } from '../bench/clock.mjs'
import { run } from '../util/run.mjs'

/** With this Node.js tells perf the names of JavaScript functions. */
export const execArgv = ['--perf-basic-prof-only-functions', '--interpreted-frames-native-stack']

const frequency = 1999 // Hz: no multiple of anything that happens regularly
const patience = 5000 // ms for perf to begin

/** Samples the processes while `work()` runs. Resolves with `{result, samples}`: `{pid, part, name}` each. */
export async function sampled(work, pids) {
  const file = join(tmpdir(), `selvedge-profile-${process.pid}.data`)
  const perf = await record(file, pids)
  try {
    const result = await work()
    await ended(perf)
    return { result, samples: await read(file) }
  } finally {
    await ended(perf)
    for (const left of [file, ...pids.map(pid => `/tmp/perf-${pid}.map`)]) rmSync(left, { force: true })
  }
}

async function record(file, pids) {
  const args = ['record', '-q', '-F', frequency, '-e', 'cpu-clock', '-o', file, '-p', pids.join(',')]
  const perf = spawn('perf', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  perf.stderr.setEncoding('utf8').on('data', text => (said += text))
  for (let waited = 0; !begun(file); waited += 20) {
    if (perf.exitCode !== null || waited > patience) throw Error(`perf does not record: ${said}`)
    await sleep(20)
  }
  return perf
}

/** perf writes the head of its file when it has attached itself to the processes. */
function begun(file) {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0
}

async function ended(perf) {
  if (perf.exitCode !== null || perf.signalCode !== null) return
  perf.kill('SIGINT')
  await once(perf, 'exit')
}

async function read(file) {
  const { code, text } = await run('perf', ['script', '-i', file, '-F', 'pid,ip,sym,dso'], { quiet: true })
  if (code !== 0) throw Error(`perf cannot tell what it recorded: ${text.slice(0, 500)}`)
  return text.split('\n').flatMap(line => {
    const [, pid, symbol, object] = /^\s*(\d+)\s+[0-9a-f]+ (.*) \((.*)\)$/.exec(line) ?? []
    return pid ? [{ pid: Number(pid), part: part(object, symbol), name: name(symbol) }] : []
  })
}

function part(object, symbol) {
  if (/perf-\d+\.map$/.test(object) || /^JS:/.test(symbol)) return 'JavaScript'
  if (object.endsWith('.node')) return 'engine'
  if (object.includes('kernel')) return 'kernel'
  if (object.endsWith('/node')) return 'V8, Node.js'
  return 'libc'
}

/** Without what compilers add, and without folders, modules and columns. */
function name(symbol) {
  return symbol
    .replace(/^JS:[*^~+]?/, '')
    .replace(/(?:file:\/\/)?\S*\/([^/\s]+?:\d+):\d+$/, '$1')
    .replace(/::h[0-9a-f]{16}$/, '')
    .replace(/\+0x[0-9a-f]+$/, '')
    .replace(/\b(?:[a-z_][a-z_0-9]*::)+(?=[A-Z<])/g, '')
    .replace(/^selvedge::/, '')
    .trim()
}
