// What a broker tells channels of `node:diagnostics_channel` about its connections. It takes note only for whoever has
// subscribed before it is made, and tells once a second.
import type { Channel } from 'node:diagnostics_channel'
import { CHANNELS } from '../telemetry/channels'
import type { JournalEntry } from './views'

const BY_KIND: Readonly<Partial<Record<JournalEntry['kind'], Channel>>> = {
  connect: CHANNELS.brokerConnect,
  disconnect: CHANNELS.brokerDisconnect,
  slow_consumer: CHANNELS.brokerSlowConsumer,
  refused: CHANNELS.brokerRefused,
  sign_in_failed: CHANNELS.brokerRefused,
  subscribed: CHANNELS.brokerSubscribe,
}

/** Returns whether somebody wants to hear of connections. */
export function isToldOfConnections(): boolean {
  return Object.values(BY_KIND).some(channel => channel.hasSubscribers)
}

/** Returns whether somebody wants to hear of subscriptions. */
export function isToldOfSubscriptions(): boolean {
  return CHANNELS.brokerSubscribe.hasSubscribers
}

/** Tells what has happened at a broker. */
export function tellConnections(broker: object, entries: readonly JournalEntry[]): void {
  for (const { kind, id, address, wire, code, text } of entries) {
    const channel = BY_KIND[kind]
    if (channel?.hasSubscribers !== true) continue
    if (channel === CHANNELS.brokerRefused) channel.publish({ broker, id, code, reason: text })
    else if (channel === CHANNELS.brokerSubscribe) channel.publish({ broker, id, pattern: text, queue: code })
    else {
      const connection = { id, user: userOf(text), address, wire }
      channel.publish({ broker, connection, ...(code && { reason: code }) })
    }
  }
}

/** A user whose text the engine has cut is told as that. */
function userOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
