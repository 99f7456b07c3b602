// Every metric there is: its name, type, unit, labels with all their values, and what it says. Labels are closed
// sets: nothing that a peer or a program chooses becomes one.
import type { MetricFamily } from '../../index'

export interface Definition {
  readonly type: MetricFamily['type']
  readonly help: string
  readonly unit?: MetricFamily['unit']
  /** The values of each label; a value that is not listed becomes `other`. */
  readonly labels?: Readonly<Record<string, readonly string[] | null>>
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[]
  /** How the values of several objects of a process become one. */
  readonly merge?: 'sum' | 'min' | 'max'
}

const WIRES = ['selvedge', 'websocket', 'conat', 'inprocess'] as const
const ROLES = ['client', 'server'] as const
export const CLOSE_REASONS = [
  'client',
  'network',
  'timeout',
  'slow_consumer',
  'protocol',
  'drain',
  'disconnect',
  'shutdown',
] as const
const REFUSALS = ['limit', 'user_limit', 'sign_in', 'origin', 'host', 'handshake', 'tls', 'path', 'rate']
export const REQUEST_OUTCOMES = ['ok', 'error', 'unheard', 'timeout', 'aborted', 'refused', 'lost'] as const
export const CONNECT_OUTCOMES = ['ok', 'refused', 'network', 'tls', 'sign_in'] as const
export const SOCKET_ENDS = [
  'local',
  'peer',
  'draining',
  'lost',
  'timeout',
  'slow_consumer',
  'superseded',
  'protocol',
  'too_large',
  'refused',
] as const
export const REQUEST_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const
export const CALLBACK_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] as const

/** A value that is not known before: a version, a platform. One at a time in a process. */
const ANY = null

export const DEFINITIONS = {
  selvedge_build_info: {
    type: 'gauge',
    help: 'Version of selvedge and where it runs',
    labels: { version: ANY, node: ANY, platform: ANY },
    merge: 'max',
  },

  selvedge_broker_start_time_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Unix time at which the broker began to listen',
    merge: 'min',
  },
  selvedge_broker_draining: {
    type: 'gauge',
    help: 'Whether the broker accepts no more connections',
    merge: 'max',
  },
  selvedge_broker_connections: {
    type: 'gauge',
    help: 'Connections that are signed in',
    labels: { wire: WIRES },
  },
  selvedge_broker_handshakes: { type: 'gauge', help: 'Connections in their handshake' },
  selvedge_broker_connections_limit: {
    type: 'gauge',
    help: 'How many connections the broker accepts at once',
  },
  selvedge_broker_connections_opened_total: {
    type: 'counter',
    help: 'Connections that signed in',
    labels: { wire: WIRES },
  },
  selvedge_broker_connections_closed_total: {
    type: 'counter',
    help: 'Connections that ended',
    labels: { reason: CLOSE_REASONS },
  },
  selvedge_broker_connections_refused_total: {
    type: 'counter',
    help: 'Connections that were refused',
    labels: { reason: REFUSALS },
  },
  selvedge_broker_subscriptions: { type: 'gauge', help: 'Subscriptions of all connections' },
  selvedge_broker_patterns: { type: 'gauge', help: 'Distinct patterns that are subscribed to' },
  selvedge_broker_interest_waits: { type: 'gauge', help: 'Pending waits for interest' },
  selvedge_broker_published_messages_total: {
    type: 'counter',
    help: 'Messages accepted from publishers; a chunk is a message',
  },
  selvedge_broker_published_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Payload bytes accepted from publishers',
  },
  selvedge_broker_delivered_messages_total: {
    type: 'counter',
    help: "Messages handed to subscribers' connections",
  },
  selvedge_broker_delivered_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: "Payload bytes handed to subscribers' connections",
  },
  selvedge_broker_unheard_requests_total: {
    type: 'counter',
    help: 'Requests that nobody listened to (503)',
  },
  selvedge_broker_refused_operations_total: {
    type: 'counter',
    help: 'Operations answered with a refusal',
    labels: {
      operation: ['publish', 'subscribe', 'interest'],
      reason: ['permission', 'invalid', 'too_large', 'limit'],
    },
  },
  selvedge_broker_slow_consumers_total: {
    type: 'counter',
    help: 'Connections cut off because they did not read',
  },
  selvedge_broker_outbox_messages: {
    type: 'gauge',
    help: 'Operations that wait to be read by connections',
  },
  selvedge_broker_outbox_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes that wait to be read by connections',
  },
  selvedge_broker_memory_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory that the broker accounts for',
    labels: { kind: ['outbox', 'patterns', 'chunks', 'waits', 'other'] },
  },
  selvedge_broker_memory_limit_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory that the broker may hold for its connections',
  },
  selvedge_broker_callback_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Time until a callback decided',
    labels: { callback: ['getUser', 'isAllowed'] },
    buckets: CALLBACK_SECONDS,
  },
  selvedge_broker_callback_failures_total: {
    type: 'counter',
    help: 'Callbacks that threw, timed out or returned something invalid',
    labels: { callback: ['getUser', 'isAllowed'] },
  },
  selvedge_broker_config_reload_failures_total: {
    type: 'counter',
    help: 'Reloads in the process that left everything as it was',
    merge: 'max',
  },
  selvedge_broker_upstream_connected: {
    type: 'gauge',
    help: 'Whether the fabric above is there (only of a gateway)',
    merge: 'min',
  },

  selvedge_clients: {
    type: 'gauge',
    help: 'Clients that are open',
    labels: { state: ['connected', 'disconnected'] },
  },
  selvedge_client_connects_total: {
    type: 'counter',
    help: 'Attempts to connect that have ended',
    labels: { outcome: CONNECT_OUTCOMES },
  },
  selvedge_client_sent_messages_total: { type: 'counter', help: 'Messages that clients sent' },
  selvedge_client_sent_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Payload bytes that clients sent',
  },
  selvedge_client_received_messages_total: { type: 'counter', help: 'Messages that clients received' },
  selvedge_client_received_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Payload bytes that clients received',
  },
  selvedge_client_queued_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes that wait for connections which take no more',
  },
  selvedge_client_requests_total: {
    type: 'counter',
    help: 'Requests for one answer that have ended, over sockets too',
    labels: { outcome: REQUEST_OUTCOMES },
  },
  selvedge_client_request_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Time until the answer of a request, of one request in 16',
    buckets: REQUEST_SECONDS,
  },
  selvedge_client_subscriptions: { type: 'gauge', help: 'Patterns that clients have subscribed to' },
  selvedge_client_subscription_dropped_messages_total: {
    type: 'counter',
    help: 'Messages lost because nobody read them',
  },

  selvedge_sockets: {
    type: 'gauge',
    help: 'Open sockets',
    labels: { role: ROLES, state: ['connecting', 'ready', 'disconnected'] },
  },
  selvedge_sockets_opened_total: {
    type: 'counter',
    help: 'Sockets that became ready for the first time',
    labels: { role: ROLES },
  },
  selvedge_sockets_closed_total: {
    type: 'counter',
    help: 'Sockets that have ended',
    labels: { role: ROLES, reason: SOCKET_ENDS },
  },
  selvedge_socket_sent_messages_total: {
    type: 'counter',
    help: 'Messages written to sockets, resends not counted',
  },
  selvedge_socket_sent_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Payloads and headers written to sockets',
  },
  selvedge_socket_received_messages_total: { type: 'counter', help: 'Messages that came over sockets' },
  selvedge_socket_received_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Payload bytes that came over sockets',
  },
  selvedge_socket_resent_messages_total: { type: 'counter', help: 'Messages that were sent again' },
  selvedge_socket_duplicate_messages_total: {
    type: 'counter',
    help: 'Messages that came twice, and were dropped',
  },
  selvedge_socket_volatile_dropped_messages_total: {
    type: 'counter',
    help: 'Volatile messages that were not sent',
  },
  selvedge_socket_expired_messages_total: {
    type: 'counter',
    help: 'Messages that were not delivered, since their ttl was over',
  },
  selvedge_socket_foreign_messages_total: {
    type: 'counter',
    help: 'Messages that are no part of a stream, and were ignored',
  },
  selvedge_socket_undelivered_messages_total: {
    type: 'counter',
    help: 'Messages that sockets had not delivered when they ended',
  },
  selvedge_socket_pending_messages: { type: 'gauge', help: 'Messages written and not acknowledged' },
  selvedge_socket_pending_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes written and not acknowledged',
  },
  selvedge_socket_roundtrip_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from the writing of a message until the other side had handled it, of one message in 64',
    buckets: REQUEST_SECONDS,
  },

  selvedge_rooms: { type: 'gauge', help: 'Rooms of listeners that have members at this server' },
  selvedge_room_members: { type: 'gauge', help: 'Sockets of this server in rooms, once for each room' },
  selvedge_room_peers: {
    type: 'gauge',
    help: 'Other servers of listeners with rooms',
    labels: { state: ['live', 'stale'] },
  },
  selvedge_room_undelivered_broadcasts_total: {
    type: 'counter',
    help: 'Broadcasts to rooms that are not known to have reached a server that was lost',
  },
} as const satisfies Readonly<Record<`selvedge_${string}`, Definition>>

export type MetricName = keyof typeof DEFINITIONS

/** With the type that code for all of them needs. */
export function definitionOf(name: MetricName): Definition {
  return DEFINITIONS[name]
}
