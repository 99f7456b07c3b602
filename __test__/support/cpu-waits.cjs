// How long the threads of processes have waited for a processor: what a machine that is busy with other programs adds to a wait.
const { readdirSync, readFileSync } = require('node:fs')

/** Returns the waits in ms of each thread, by the id of its process; of none where the system does not say (only Linux does). */
function cpuWaits(pids) {
  return new Map(pids.map(pid => [pid, ofThreads(pid)]))
}

function ofThreads(pid) {
  const waits = new Map()
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [, waited] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
      waits.set(thread, Number(waited) / 1e6)
    }
  } catch {
    // A thread or its process has ended, or there is no such file.
  }
  return waits
}

/** Returns how long they have waited since `before`: of each process the thread that has waited longest, all together. */
function waitedSince(before) {
  let all = 0
  for (const [pid, now] of cpuWaits([...before.keys()])) {
    const since = [...now].map(([thread, ms]) => ms - (before.get(pid).get(thread) ?? 0))
    all += Math.max(0, ...since)
  }
  return all
}

module.exports = { cpuWaits, waitedSince }
