// What was promised (the least, not the goal), and whether the medians keep it.
import { markdown, significant } from './report.mjs'

const link = 'selvedge wire'
const embedded = 'embedded'

// `at least` or `at most` `bound` × the figure of `to` (a contender, or another case of the same contender), or absolutely.
export const floors = [
  { of: 'oneway 16 B', atLeast: 0.3, to: 'net' },
  { of: 'oneway 16 B', atLeast: 2, to: 'nats' },
  { of: 'oneway 16 B', atLeast: 15, to: 'socket.io' },
  { of: 'oneway 16 B', atMost: 2.2, take: cpu, unit: 'µs of CPU' },
  { of: 'oneway 16 B', by: embedded, atLeast: 0.55, to: 'net' },
  { of: 'oneway 1 KiB', atLeast: 0.35, to: 'net' },
  { of: 'oneway 1 KiB', atLeast: 1.8, to: 'nats' },
  { of: 'oneway 64 KiB', atLeast: 0.4, to: 'net' },
  { of: 'oneway 64 KiB', atLeast: 1.8, to: 'nats' },
  { of: 'oneway 1 MiB', atLeast: 0.4, to: 'net' },
  { of: 'oneway 1 MiB', atLeast: 1.8, to: 'nats' },
  { of: 'rtt', atMost: 2, take: p50, to: 'net' },
  { of: 'rtt', atMost: 0.72, take: p50, to: 'nats' },
  { of: 'rtt', by: embedded, atMost: 1, take: p50, to: 'socket.io' },
  { of: 'rtt', by: embedded, atMost: 2, take: p50, to: 'ws' },
  { of: 'rtt, 64 in flight', atLeast: 0.4, to: 'net' },
  { of: 'rtt, 64 in flight', atLeast: 5, to: 'nats' },
  { of: 'rtt, 64 in flight', atMost: 8, take: cpu, unit: 'µs of CPU' },
  { of: 'request', atMost: 0.75, take: p50, to: 'nats' },
  { of: 'request, 64 in flight', atLeast: 4, to: 'nats' },
  { of: 'pubsub 16 B', atLeast: 2, to: 'nats' },
  { of: 'broadcast to 100', atLeast: 0.5, to: 'net' },
  { of: 'broadcast to 100', atLeast: 1.6, to: 'nats' },
  { of: 'connect', atLeast: 4, to: 'socket.io' },
  { of: 'connect, 50 at a time', atLeast: 14, to: 'socket.io' },
  { of: '1000 idle sockets', atMost: 7 * 1024, take: result => result.memory, unit: 'bytes each' },
  { of: '1000 idle sockets', atMost: 1, take: cpu, unit: 'µs of CPU a ms, idle' },
  { of: 'oneway 16 B', by: 'conat wire', atLeast: 3, to: 'socket.io' },
  { of: 'oneway 16 B', by: 'in-process', atMost: 2 / 3, take: cpu, to: link },
  { of: '100 000 subscriptions', atLeast: 0.85, toCase: 'oneway 16 B' },
  { of: '10 sockets', atMost: 1.15, take: cpu, toCase: '1 socket' },
  { of: '100 sockets', atMost: 1.15, take: cpu, toCase: '1 socket' },
  { of: '1000 sockets', atMost: 1.15, take: cpu, toCase: '1 socket' },
]

/** A table of those of `floors` that these medians tell something about. */
export function verdict(medians, floors) {
  const rows = floors.flatMap(floor => {
    const measured = measure(floor, medians)
    if (measured === undefined) return []
    const reached = floor.atLeast ? measured >= floor.atLeast : measured <= floor.atMost
    return [[floor.of, floor.by ?? link, promise(floor), significant(measured), reached ? 'yes' : 'NO']]
  })
  return markdown(['workload', 'contender', 'floor', 'measured', 'reached'], rows)
}

function measure({ of, by = link, take = result => result.rate, to, toCase }, medians) {
  const ours = medians[of]?.[by]
  if (!to && !toCase) return ours && take(ours)
  const theirs = toCase ? medians[toCase]?.[by] : medians[of]?.[to]
  return ours && theirs && take(ours) / take(theirs)
}

function promise({ atLeast, atMost, take, to, toCase, unit }) {
  const bound = atLeast ? `at least ${significant(atLeast)}` : `at most ${significant(atMost)}`
  if (unit) return `${bound} ${unit}`
  return `${bound} × ${toCase ?? to}${take === cpu ? ', CPU' : ''}`
}

export function cpu(result) {
  return result.cpu.total
}

export function p50(result) {
  return result.p50
}
