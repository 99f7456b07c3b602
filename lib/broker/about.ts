// What a broker tells of itself to system accounts and to its monitor.
import type { ConatServer } from '../../index'
import { packageVersion } from '../telemetry/build'
import type { Monitored } from './monitor'
import { connectionOf, connectionsOf, socketsOf, subjectsOf } from './overview'
import * as views from './views'

interface Own {
  readonly started: number | null
  readonly limits: { readonly maxConnections: number; readonly maxMemoryBytes: number }
}

export function aboutOf(broker: ConatServer, handle: number, own: () => Own): Monitored {
  return {
    overview: () => ({
      id: broker.id,
      name: broker.clusterName ?? 'default',
      version: packageVersion(),
      now: Date.now(),
      started: own().started,
      draining: broker.draining,
      address: broker.address()?.toString() ?? null,
      totals: broker.totals as NonNullable<ConatServer['totals']>,
      limits: { maxConnections: own().limits.maxConnections, maxMemoryBytes: own().limits.maxMemoryBytes },
    }),
    connections: query => connectionsOf(handle, query),
    connection: id => connectionOf(handle, id),
    subjects: query => subjectsOf(handle, query),
    sockets: query => socketsOf(handle, query),
    more: () => {
      const { closed = {}, refused = {}, refusedOperations = {} } = views.metrics(handle) ?? {}
      return { counts: { closed, refused, refusedOperations } }
    },
  }
}
