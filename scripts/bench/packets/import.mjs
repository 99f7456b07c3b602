// What loading a codec costs a program: CPU time of `require` by itself, beside that of a whole program that does nothing. The
// least of many: other programs' time is not in it, but what they push out of the caches is.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MODULES = ['selvedge/packets', 'schemapack', 'avsc', 'msgpackr', 'protobufjs']
const cwd = fileURLToPath(new URL('../../..', import.meta.url))

/** Milliseconds by name; `node` is the program that does nothing. */
export function measureImports(runs) {
  const all = Array.from({ length: runs }, () =>
    Object.fromEntries([
      ['node', cpu('const start = { user: 0, system: 0 }')],
      ...MODULES.map(name => [name, cpu(`const start = process.cpuUsage(); require('${name}')`)]),
    ]),
  )
  return Object.fromEntries(Object.keys(all[0]).map(name => [name, Math.min(...all.map(each => each[name]))]))
}

function cpu(code) {
  const told = `const { user, system } = process.cpuUsage()
    console.log((user - start.user + system - start.system) / 1000)`
  return Number(execFileSync(process.execPath, ['--eval', `${code}; ${told}`], { cwd }))
}
