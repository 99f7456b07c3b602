// What happens, for those who subscribe to it with `node:diagnostics_channel`. Each place that publishes asks
// `hasSubscribers` first, and makes nothing otherwise.
import { type Channel, channel, tracingChannel } from 'node:diagnostics_channel'

const named = (name: string): Channel => channel(`selvedge:${name}`)

export const CHANNELS = {
  clientConnect: named('client:connect'),
  clientDisconnect: named('client:disconnect'),
  clientConnectFailed: named('client:connectFailed'),
  clientPermission: named('client:permission'),
  subscriptionOpen: named('subscription:open'),
  subscriptionClose: named('subscription:close'),
  subscriptionDrop: named('subscription:drop'),
  publish: named('publish'),
  socketOpen: named('socket:open'),
  socketReady: named('socket:ready'),
  socketDisconnect: named('socket:disconnect'),
  socketClose: named('socket:close'),
  socketWrite: named('socket:write'),
  listenerConnection: named('listener:connection'),
  listenerRefused: named('listener:refused'),
  roomJoin: named('room:join'),
  roomLeave: named('room:leave'),
  handlerError: named('handler:error'),
  brokerConnect: named('broker:connect'),
  brokerDisconnect: named('broker:disconnect'),
  brokerRefused: named('broker:refused'),
  brokerSlowConsumer: named('broker:slowConsumer'),
  brokerSubscribe: named('broker:subscribe'),
  brokerDrain: named('broker:drain'),
} as const

/** With `start`, `end`, `asyncStart`, `asyncEnd` and `error` each. */
export const TRACES = {
  request: tracingChannel('selvedge:request'),
  handle: tracingChannel('selvedge:handle'),
  send: tracingChannel('selvedge:send'),
} as const
