// npm run bench -- --work sockety: the workloads of the reference's benchmark over one connection between two processes, clear and
// over TLS, beside HTTP/2 and bare connections of Node.js; and beside the reference, if `npm install --no-save sockety` finds it.
import { createRequire } from 'node:module'
import { arch, cpus, loadavg } from 'node:os'
import { updateSection } from '../document.mjs'
import { Process } from '../process.mjs'
import { quiet } from '../quiet.mjs'
import { markdown, median, significant } from '../report.mjs'
import { cpuOf } from '../usage.mjs'
import { verdict } from './floors.mjs'
import { lines } from './lines.mjs'

const OURS = 'selvedge/sockety'
const modules = { [OURS]: OURS, reference: 'sockety', http2: 'node:http2', net: 'node:net' }

export async function benchSockety({ quick, runs, dur, limit, update }) {
  const contenders = Object.keys(modules).filter(name => isInstalled(modules[name]))
  const results = {}
  // The contenders take turns, so that a busy minute of the machine hits all of them.
  for (let run = 1; run <= runs; run++) {
    for (const secure of [false, true]) {
      for (const name of contenders) {
        await quiet(limit)
        const taken = await measure(modules[name], secure, quick, dur)
        for (const [line, result] of Object.entries(taken))
          (results[key(name, secure, line)] ??= []).push(result)
        process.stderr.write(`run ${run} of ${runs}, ${name}${secure ? ', TLS' : ''}\n`)
      }
    }
  }
  const medians = Object.fromEntries(Object.entries(results).map(([name, all]) => [name, median(all)]))
  const of = (name, secure, line) => medians[key(name, secure, line)]
  const told = [
    setting({ quick, runs, dur }),
    table(contenders, of),
    // Floors are for whoever measures properly.
    ...(quick ? [] : ['### Floors of Sockety', verdict(OURS, of)]),
  ].join('\n\n')
  console.log(`\n${told}\n`)
  if (update) updateSection('sockety', told)
}

const key = (name, secure, line) => `${name} ${secure} ${line}`

function isInstalled(module) {
  try {
    createRequire(import.meta.url).resolve(module)
    return true
  } catch {
    return false
  }
}

/** By name of the line, what a contender does: a second, and a second of the CPU of both processes together. */
async function measure(module, secure, quick, dur) {
  const [server, client] = [1, 2].map(() => new Process(module, [], './sockety/worker.mjs'))
  const used = () => cpuOf(server.pid) + cpuOf(client.pid)
  try {
    const { port } = await server.do('serve', { secure })
    const known = (await client.do('connect', { port, secure })).lines
    const results = {}
    for (const { name, line, size, parallel } of quick ? lines.filter(each => each.quick) : lines) {
      if (!known.includes(line)) continue
      const options = { line, size, parallel }
      await client.do('run', { ...options, dur: Math.min(500, dur) })
      const before = used()
      const { count, rate } = await client.do('run', { ...options, dur })
      results[name] = { rate, perCpu: (count / (used() - before)) * 1000 }
    }
    return results
  } finally {
    await Promise.all([server.end(), client.end()])
  }
}

function setting({ quick, runs, dur }) {
  const cpu = `${arch()}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}`
  const how = quick ? 'once, briefly' : `${dur} ms after 500 ms, median of ${runs}`
  const load = `Load of the machine at the end: ${loadavg()[0].toFixed(1)}.`
  return `Node ${process.version}, ${cpu}; ${how}; ${new Date().toISOString().slice(0, 10)}. ${load}`
}

function table(contenders, of) {
  const rows = lines.flatMap(({ name }) =>
    contenders.flatMap(contender => {
      const [clear, tls] = [of(contender, false, name), of(contender, true, name)]
      if (clear === undefined) return []
      const cells = [clear, tls].flatMap(({ rate, perCpu }) => [significant(rate), significant(perCpu)])
      return [[name, contender, ...cells]]
    }),
  )
  return markdown(['line', 'way', 'a second', 'a CPU-second', 'TLS: a second', 'a CPU-second'], rows)
}
