// What all clients and brokers of the process have counted together. What has ended stays in the counters.
import type { MetricFamily } from '../../index'
import { isCounter } from './client-counters'
import { Families } from './families'

/** A client or a broker. */
export interface Source {
  metrics(): MetricFamily[]
}

const sources = new Set<Source>()
const ended = new Families()

export function register(source: Source): void {
  sources.add(source)
}

/** Keeps what it has counted, and forgets it. */
export function retire(source: Source): void {
  if (sources.delete(source)) ended.merge(source.metrics(), isCounter)
}

export function processMetrics(): MetricFamily[] {
  const all = new Families().merge(ended.list())
  for (const source of sources) all.merge(source.metrics())
  return all.list()
}
