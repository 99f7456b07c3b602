// The workloads with their parameters. `figure` is what is compared: a rate (more is better), or p50 or memory (less is).
import { broadcast, connect, memory, oneway, pubsub, request, rtt } from './workloads.mjs'

const KiB = 1024

export const cases = [
  { name: 'oneway 16 B', workload: 'oneway', measure: oneway, size: 16, quick: true },
  { name: 'oneway 1 KiB', workload: 'oneway', measure: oneway, size: KiB },
  { name: 'oneway 64 KiB', workload: 'oneway', measure: oneway, size: 64 * KiB, quick: true },
  { name: 'oneway 1 MiB', workload: 'oneway', measure: oneway, size: KiB * KiB },
  { name: 'rtt', workload: 'rtt', measure: rtt, figure: 'p50', size: 32, parallel: 1 },
  { name: 'rtt, 64 in flight', workload: 'rtt', measure: rtt, size: 32, parallel: 64, quick: true },
  { name: 'pubsub 16 B', workload: 'pubsub', measure: pubsub, size: 16, batch: 500, quick: true },
  { name: 'pubsub 1 KiB', workload: 'pubsub', measure: pubsub, size: KiB, batch: 500 },
  { name: 'request', workload: 'request', measure: request, figure: 'p50', size: 32, parallel: 1 },
  { name: 'request, 64 in flight', workload: 'request', measure: request, size: 32, parallel: 64 },
  { name: 'connect', workload: 'connect', measure: connect, parallel: 1, max: 600 },
  { name: 'connect, 50 at a time', workload: 'connect', measure: connect, parallel: 50, max: 600 },
  { name: 'broadcast to 100', workload: 'broadcast', measure: broadcast, size: 64, sockets: 100, batch: 20 },
  { name: '1000 idle sockets', workload: 'memory', measure: memory, figure: 'memory', count: 1000 },
  { name: '100 000 subscriptions', workload: 'subscriptions', measure: oneway, size: 16, crowd: 100_000 },
  ...[1, 10, 100, 1000].map(sockets => ({
    name: `${sockets} socket${sockets > 1 ? 's' : ''}`,
    workload: 'sockets',
    measure: oneway,
    size: 16,
    sockets,
    burst: 16,
  })),
].map(each => ({ figure: 'rate', ...each }))

export const figures = {
  rate: { show: rate => `${Math.round(rate).toLocaleString('en-US')} /s` },
  p50: { show: us => `${us.toFixed(0)} µs` },
  memory: { show: bytes => `${(bytes / KiB).toFixed(1)} KiB each` },
}

/** Those of the workloads named, or all; of a quick run few. */
export function chosenCases(names, quick) {
  const known = [...new Set(cases.map(({ workload }) => workload))]
  const unknown = names?.filter(name => !known.includes(name)) ?? []
  if (unknown.length > 0) throw Error(`no workload '${unknown.join(', ')}'; there are ${known.join(', ')}`)
  return cases.filter(one => names?.includes(one.workload) ?? (!quick || one.quick))
}
