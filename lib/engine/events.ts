// Fetches buffers of events and dispatches each event to the object with its handle
// (docs/internals/boundary.md).

import { nextTurn } from '../values/platform'
import { throwAsync } from '../values/throw-async'
import { flush } from './commands'
import { EventReader } from './event-reader'
import { native } from './native'

/** Buffers that one wake-up may process before timers and I/O get their turn. */
const MAX_BUFFERS_A_TURN = 8

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
    const kind = reader.kind()
    const target = targets.get(reader.u32())
    if (target === undefined) continue
    try {
      target.handleEvent(kind, reader)
    } catch (error) {
      throwAsync(error)
    }
  }
}
