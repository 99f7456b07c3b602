// What a client tells in metrics.
import type { MetricFamily } from '../../index'
import { native } from '../engine/native'
import type { ClientContext } from '../messaging/client-context'
import { ConatSocketBase } from '../socket/base'
import { ConatSocketServer } from '../socket/server'
import { addBuild } from '../telemetry/build'
import { Families } from '../telemetry/families'

export function clientMetrics({
  handle,
  counters,
  stats,
  children,
  closed,
  connected,
}: ClientContext): MetricFamily[] {
  const families = addBuild(new Families())
  const sockets = [...children].filter(child => child instanceof ConatSocketBase)
  families
    .add('selvedge_clients', Number(connected && !closed), { state: 'connected' })
    .add('selvedge_clients', Number(!connected && !closed), { state: 'disconnected' })
    .add('selvedge_client_sent_messages_total', stats.sent.messages)
    .add('selvedge_client_sent_bytes_total', stats.sent.bytes)
    .add('selvedge_client_received_messages_total', stats.recv.messages)
    .add('selvedge_client_received_bytes_total', stats.recv.bytes)
    .add('selvedge_client_queued_bytes', closed ? 0 : native.clientQueued(handle))
    .add('selvedge_client_subscriptions', stats.subs)
  for (const role of ['client', 'server']) {
    for (const state of ['connecting', 'ready', 'disconnected']) {
      const found = sockets.filter(socket => socket.role === role && socket.state === state)
      families.add('selvedge_sockets', found.length, { role, state })
    }
  }
  const rooms = [...children].flatMap(child =>
    child instanceof ConatSocketServer ? (child.roomTally ?? []) : [],
  )
  const sum = (name: 'rooms' | 'members' | 'live' | 'stale'): number =>
    rooms.reduce((total, tally) => total + tally[name], 0)
  families
    .add('selvedge_rooms', sum('rooms'))
    .add('selvedge_room_members', sum('members'))
    .add('selvedge_room_peers', sum('live'), { state: 'live' })
    .add('selvedge_room_peers', sum('stale'), { state: 'stale' })
  counters.addTo(
    families,
    sockets.map(socket => socket.tally),
  )
  return families.list()
}
