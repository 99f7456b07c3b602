// Fetches buffers of events and dispatches each event to the object with its handle
// (docs/internals/boundary.md).

import { nextTurn } from '../values/platform'
import { throwAsync } from '../values/throw-async'
import { flush } from './commands'
import { EventReader } from './event-reader'
import { native } from './native'

/** Buffers that one wake-up may process before timers and I/O get their turn. */
const MAX_BUFFERS_A_TURN = 8

/** Event kinds of docs/internals/boundary.md. */
export const DELIVERED = 1
export const PUBLISHED = 2
export const REPLY = 3
export const DONE = 4
export const FAILED = 5
export const CLIENT_STATE = 6
export const SOCKET_STATE = 7
export const SOCKET_DATA = 8
export const SOCKET_REQUEST = 9
export const SOCKET_ACKNOWLEDGED = 10
export const ACCEPTED = 11
export const LISTENER_STATE = 12
export const CHOOSE_SERVER = 13
export const PERMISSION = 14
export const BROKER_STATE = 15
export const SOCKET_DATA_MANY = 40
export const DELIVERED_MANY = 41
export const ASKED_USER = 20
export const ASKED_PERMISSION = 21
export const CONNECTION_GONE = 22
export const STRINGS = 16
export const CONNECT_FAILED = 30
export const PIPE_BYTES = 31
export const PIPE_TAKEN = 32
export const PIPE_END = 33
export const CLIENT_ENDING = 70
export const SOCKET_UNDELIVERED = 34
export const SOCKET_COLLECTED = 35
export const SOCKET_COUNTED = 36

/** An object that has a handle. */
export interface Target {
  /** The handle of its client, or its own. */
  readonly client: number
  handleEvent(kind: number, event: EventReader): void
  /** Ends it because its client has closed, if the engine has not reported its end. */
  handleClientClosed(): void
}

const flushes: (() => void)[] = [flush]
const targets = new Map<number, Target>()
const reader = new EventReader()
let opened = false

/** Dispatches events with this handle to `target`, until `forget`. */
export function route(handle: number, target: Target): void {
  if (!opened) {
    opened = true
    native.open(turn)
  }
  targets.set(handle, target)
}

/** Has the commands of a system handed over after each buffer of events, which may have caused some. */
export function flushAfterEvents(flushSystem: () => void): void {
  flushes.push(flushSystem)
}

export function forget(handle: number): void {
  targets.delete(handle)
}

/** Ends every remaining object of a client. */
export function endAllOf(client: number): void {
  for (const [handle, target] of targets) {
    if (target.client === client && handle !== client) target.handleClientClosed()
  }
}

/** Processes waiting events; scheduled again until there are none. */
function turn(): void {
  let isMore = true
  try {
    for (let taken = 0; taken < MAX_BUFFERS_A_TURN && isMore; taken++) isMore = takeBuffer()
  } finally {
    // Also after an exception (out of memory): the engine does not wake us again before a drain has returned
    // `null`.
    if (isMore) nextTurn(turn)
  }
}

function takeBuffer(): boolean {
  const parts = native.drain()
  if (parts === null) {
    reader.drop()
    return false
  }
  dispatch(parts)
  for (const flushSystem of flushes) flushSystem()
  return true
}

function dispatch(parts: readonly Buffer[]): void {
  reader.take(parts)
  const length = reader.buf.length
  let next = 0
  while (next < length) {
    reader.pos = next
    next += reader.u32() + 4
    reader.end = next
    const kind = reader.u8()
    const target = targets.get(reader.u32())
    if (target === undefined) continue
    try {
      target.handleEvent(kind, reader)
    } catch (error) {
      throwAsync(error)
    }
  }
}
