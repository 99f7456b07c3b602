// npm run bench -- --work net: streams, HTTP, TLS and datagrams over subjects, beside Node's own through a proxy in a process of its
// own, as ours have a broker, and beside Node's own without one.
import { arch, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { sleep } from '../clock.mjs'
import { tellFailures } from '../comparison.mjs'
import { updateSection } from '../document.mjs'
import { quiet } from '../quiet.mjs'
import { markdown, median, ratio, significant } from '../report.mjs'
import { verdict } from './goals.mjs'
import { lines, memoryLines } from './lines.mjs'
import { postgresFolder, startPostgres } from './postgres.mjs'
import { wayNames, withWay } from './ways.mjs'

const OURS = 'selvedge/net'
const MiB = 1024 * 1024

const shown = {
  bytes: rate => `${significant(rate / 1e6)} MB/s`,
  rate: rate => `${significant(rate)} /s`,
  p50: us => `${significant(us)} µs`,
  memory: bytes => (bytes < MiB ? `${significant(bytes / 1024)} KiB` : `${significant(bytes / MiB)} MiB`),
}

export async function benchNet({ quick, runs, dur, limit, update }) {
  const chosen = quick ? lines.filter(line => line.quick) : lines
  const bin = chosen.some(({ task }) => task === 'pgbench') ? postgresFolder() : undefined
  if (bin === undefined && !quick)
    console.log('SKIPPED pgbench: no PostgreSQL. Get it with `apt install postgresql`.')
  const postgres = bin && (await startPostgres(bin))
  const results = {}
  const failures = []
  /** Keeps what `measure` resolves with; what fails is told at the end, and the rest goes on. */
  const note = async (run, line, way, measure) => {
    try {
      const result = await measure()
      ;((results[line.name] ??= {})[way] ??= []).push(result)
    } catch (error) {
      failures.push(`run ${run}, ${line.name}, ${way}: ${error.message}`)
    }
  }
  try {
    // The ways take turns, so that a busy minute of the machine hits all of them.
    for (let run = 1; run <= runs; run++) {
      for (const way of wayNames) {
        await quiet(limit)
        const own = chosen.filter(({ ways, task }) => ways.includes(way) && (postgres || task !== 'pgbench'))
        await withWay(way, { extra: postgres ? { postgres: postgres.place } : {} }, async opened => {
          for (const line of own)
            await note(run, line, way, () => measureLine(opened, line, { quick, dur, bin }))
        })
        for (const line of run === 1 ? memoryOf(way, quick) : []) {
          await note(run, line, way, () => measureMemory(way, line, quick))
        }
        process.stderr.write(`run ${run} of ${runs}, ${way}\n`)
      }
    }
  } finally {
    await postgres?.end()
  }
  const medians = Object.fromEntries(
    Object.entries(results).map(([name, ofLine]) => [
      name,
      Object.fromEntries(Object.entries(ofLine).map(([way, all]) => [way, median(all)])),
    ]),
  )
  const told = [
    setting({ quick, runs, dur }),
    table(medians),
    // Goals are for whoever measures properly.
    ...(quick ? [] : ['### Goals of the streams', verdict(medians)]),
  ].join('\n\n')
  console.log(`\n${told}\n`)
  tellFailures(failures)
  if (update) updateSection('net', told)
}

/** The lines about memory for a way; briefly only ours. */
function memoryOf(way, quick) {
  return memoryLines.filter(({ ways }) => ways.includes(way) && (!quick || way === OURS))
}

async function measureLine(way, { task, options }, { quick, dur, bin }) {
  const all = { task, ...options, ...(task === 'pgbench' ? { program: join(bin, 'pgbench') } : {}) }
  const isTimed = !['crowd', 'pgbench'].includes(task)
  if (isTimed) await way.client.do('run', { ...all, dur: Math.min(quick ? 50 : 300, dur) })
  const before = way.cpu()
  const result = await way.client.do('run', { ...all, dur })
  return { ...result, cpu: ((way.cpu() - before) * 1000) / result.count }
}

/** Growth of resident memory: of the larger end for each idle socket, and of whichever process grows most under a slow reader. */
function measureMemory(name, { task, options }, quick) {
  return withWay(name, {}, async way => {
    for (const end of [way.server, way.client]) await end.do('grow')
    if (task === 'slow') return await growth(way, quick ? options.size / 16 : options.size)
    const count = quick ? options.count / 10 : options.count
    await way.client.do('run', { task, count: 10 })
    const before = await settled(way)
    await way.client.do('run', { task, count })
    const after = await settled(way)
    const ends = ['server', 'client'].map(role => (after[role] - before[role]) / count)
    return { memory: Math.max(...ends) }
  })
}

async function growth(way, size) {
  const before = await settled(way)
  const most = { ...before }
  const look = () => {
    for (const [role, bytes] of Object.entries(way.memory())) most[role] = Math.max(most[role], bytes)
  }
  const timer = setInterval(look, 20)
  await way.client.do('run', { task: 'slow', size })
  clearInterval(timer)
  return { memory: Math.max(...Object.keys(before).map(role => most[role] - before[role])) }
}

async function settled(way) {
  await sleep(300)
  for (const end of [way.server, way.client]) await end.do('collect')
  await sleep(200)
  return way.memory()
}

function setting({ quick, runs, dur }) {
  const cpu = `${arch()}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}`
  const how = quick ? 'once, briefly' : `${dur} ms, median of ${runs}; memory once`
  const load = `Load of the machine at the end: ${loadavg()[0].toFixed(1)}.`
  return `Node ${process.version}, ${cpu}; ${how}; ${new Date().toISOString().slice(0, 10)}. ${load}`
}

function table(medians) {
  const rows = [...lines, ...memoryLines].flatMap(({ name, figure, unit }) =>
    wayNames.flatMap(way => {
      const result = medians[name]?.[way]
      if (result === undefined) return []
      const ratios = ['net', 'proxy'].map(peer => ratio(result[figure], medians[name][peer]?.[figure]))
      const cpu = unit === undefined ? '' : `${significant(result.cpu)} a ${unit}`
      const lost = result.lost === undefined ? '' : `${significant(result.lost * 100)} %`
      return [[name, way, shown[figure](result[figure]), ...ratios, cpu, lost]]
    }),
  )
  return markdown(['line', 'way', 'median', '÷ net', '÷ proxy', 'CPU µs', 'lost'], rows)
}
