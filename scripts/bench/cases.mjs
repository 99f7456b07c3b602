// The workloads with their parameters. `figure` is what is compared: a rate (more is better), or p50 or memory (less is).
import { broadcast, connect, memory, oneway, pubsub, request, rtt } from './works.mjs'

const KiB = 1024

export const cases = [
  { name: 'oneway 16 B', work: 'oneway', measure: oneway, size: 16, quick: true },
  { name: 'oneway 1 KiB', work: 'oneway', measure: oneway, size: KiB },
  { name: 'oneway 64 KiB', work: 'oneway', measure: oneway, size: 64 * KiB, quick: true },
  { name: 'oneway 1 MiB', work: 'oneway', measure: oneway, size: KiB * KiB },
  { name: 'rtt', work: 'rtt', measure: rtt, figure: 'p50', size: 32, parallel: 1 },
  { name: 'rtt, 64 in flight', work: 'rtt', measure: rtt, size: 32, parallel: 64, quick: true },
  { name: 'pubsub 16 B', work: 'pubsub', measure: pubsub, size: 16, batch: 500, quick: true },
  { name: 'pubsub 1 KiB', work: 'pubsub', measure: pubsub, size: KiB, batch: 500 },
  { name: 'request', work: 'request', measure: request, figure: 'p50', size: 32, parallel: 1 },
  { name: 'request, 64 in flight', work: 'request', measure: request, size: 32, parallel: 64 },
  { name: 'connect', work: 'connect', measure: connect, parallel: 1, max: 600 },
  { name: 'connect, 50 at a time', work: 'connect', measure: connect, parallel: 50, max: 600 },
  { name: 'broadcast to 100', work: 'broadcast', measure: broadcast, size: 64, sockets: 100, batch: 20 },
  { name: '1000 idle sockets', work: 'memory', measure: memory, figure: 'memory', count: 1000 },
  { name: '100 000 subscriptions', work: 'subscriptions', measure: oneway, size: 16, crowd: 100_000 },
  ...[1, 10, 100, 1000].map(sockets => ({
    name: `${sockets} socket${sockets > 1 ? 's' : ''}`,
    work: 'sockets',
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
  const known = [...new Set(cases.map(({ work }) => work))]
  const unknown = names?.filter(name => !known.includes(name)) ?? []
  if (unknown.length > 0) throw Error(`no work '${unknown.join(', ')}'; there are ${known.join(', ')}`)
  return cases.filter(one => names?.includes(one.work) ?? (!quick || one.quick))
}
