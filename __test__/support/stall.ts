/**
 * How long, in milliseconds, an honest neighbour may wait in a test of hostile peers, as {@link stopwatch} measures it. Those
 * tests look for stalls of seconds: also a machine that is slow delays people by one second. What an attack costs on a
 * calm machine is in the tables of SECURITY.md.
 */
export const STALL_MS = 4000

const { cpuWaits, waitedSince } = require('./cpu-waits.cjs') as {
  cpuWaits(pids: readonly number[]): Map<number, Map<string, number>>
  waitedSince(before: Map<number, Map<string, number>>): number
}

/**
 * Returns what returns the ms that have passed, less those for which a thread of this process or of these has waited for a
 * processor: that is due to other tests, and no stall.
 */
export function stopwatch(...pids: readonly number[]): () => number {
  const [start, before] = [performance.now(), cpuWaits([process.pid, ...pids])]
  return () => performance.now() - start - waitedSince(before)
}
