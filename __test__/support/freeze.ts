// Stops a process as a debugger would, and knows when it has stopped.
import { readdirSync, readFileSync } from 'node:fs'

/**
 * Sends SIGSTOP, and resolves once no thread of the process runs any more: until then one may still answer. Where there
 * is no /proc it resolves at once.
 */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  while (!isStopped(pid)) await new Promise(setImmediate)
}

function isStopped(pid: number): boolean {
  if (process.platform !== 'linux') return true
  const tasks = `/proc/${pid}/task`
  // "1234 (name of the thread) T …"
  return readdirSync(tasks).every(task => {
    const stat = readFileSync(`${tasks}/${task}/stat`, 'latin1')
    return 'TtZX'.includes(stat.charAt(stat.lastIndexOf(')') + 2))
  })
}
