// What processes and the machine have used so far. Zeros where there is no /proc.
import { readdirSync, readFileSync } from 'node:fs'

const tick = 10 // ms, on every Linux that Node.js runs on

/** User and system milliseconds: to the nanosecond where the kernel says how long each thread has run, else in ticks. */
export function cpuOf(pid) {
  const nanoseconds = threads(pid).map(id => Number.parseInt(read(`/proc/${pid}/task/${id}/schedstat`), 10))
  const ran = nanoseconds.reduce((sum, each) => sum + (each || 0), 0)
  return ran > 0 ? ran / 1e6 : ticksOf(pid)
}

function ticksOf(pid) {
  const stat = read(`/proc/${pid}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tick || 0
}

/** Resident bytes. */
export function memoryOf(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024
}

/** Milliseconds that the cores of the machine have been busy, for whomever. */
export function machineCpu() {
  const [user, nice, system, , , irq, softirq] = read('/proc/stat')
    .split('\n')[0]
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq) * tick || 0
}

function threads(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
