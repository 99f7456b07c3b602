// Fetches buffers of events and dispatches each event to the object with its handle
// (docs/internals/boundary.md).

import { AsyncResource } from 'node:async_hooks'
import type { Failure } from '../values/failure'
import {
  beginWalk,
  clearInterruption,
  isInterrupted,
  mustWait,
  resumeWalk,
  throwAsync,
} from '../values/throw-async'
import { flush } from './commands'
import { EventReader } from './event-reader'
import {
  ACCEPTED,
  DELIVERED,
  DELIVERED_MANY,
  DELIVERED_TIMED,
  SOCKET_DATA,
  SOCKET_DATA_MANY,
  SOCKET_REQUEST_RECEIVED,
  SOCKET_STATE,
  SOCKET_TIMED,
  SOCKETY_RECORDS,
} from './kinds'
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
  /** Ends what waits for the connection, which is refused; with `isFinal`, nothing will bring it back. */
  handleStranded?(failure: Failure, isFinal: boolean): void
}

const flushes: (() => void)[] = [flush]
/** A target, and the async context in which it was made: its handlers run there. */
interface Routed {
  target: Target
  context: AsyncResource
}

const targets = new Map<number, Routed>()
const reader = new EventReader()
let opened = false
/** Whether a buffer has been read only in part, because a handler threw. */
let isPartial = false
let isDispatching = false
/** A turn is scheduled: whatever else asks for one in between, such as a thousand timers that are due, no second one follows. */
let isScheduled = false
/** The end of the record that is being read. */
let next = 0
let kind = 0
let handle = 0

/**
 * Dispatches events with this handle to `target`, until `forget`. Its handlers run in the present async
 * context, not in that of the code which happened to load this module.
 */
export function route(handle: number, target: Target): void {
  if (!opened) {
    opened = true
    native.open(turn)
  }
  if (targets.size === 0) native.setOpen(true)
  // Nothing is destroyed with it, so nobody has to watch when it is collected.
  const context = new AsyncResource('SELVEDGE', { requireManualDestroy: true })
  targets.set(handle, { target, context })
}

/** Has the commands of a system handed over after each buffer of events, which may have caused some. */
export function flushAfterEvents(flushSystem: () => void): void {
  flushes.push(flushSystem)
}

export function forget(handle: number): void {
  if (targets.delete(handle) && targets.size === 0) native.setOpen(false)
}

/** Ends every remaining object of a client. */
export function endAllOf(client: number): void {
  for (const [handle, { target, context }] of targets) {
    if (target.client === client && handle !== client) {
      context.runInAsyncScope(target.handleClientClosed, target)
    }
  }
}

/** Ends what the objects of a client wait for. */
export function strandAllOf(client: number, failure: Failure, isFinal: boolean): void {
  for (const [handle, { target, context }] of targets) {
    if (target.client === client && handle !== client && target.handleStranded !== undefined) {
      context.runInAsyncScope(target.handleStranded, target, failure, isFinal)
    }
  }
}

/** Processes waiting events; scheduled again until there are none. */
function turn(): void {
  let isMore = true
  beginWalk()
  try {
    for (let taken = 0; taken < MAX_BUFFERS_A_TURN && isMore; taken++) {
      isMore = takeBuffer()
      if (isPartial) break
    }
  } finally {
    // Also after an exception (out of memory): the engine does not wake us again before a drain has returned
    // `null`.
    if (isMore && !isScheduled) {
      isScheduled = true
      resumeWalk(scheduledTurn)
    }
  }
}

function scheduledTurn(): void {
  isScheduled = false
  turn()
}

/** Dispatches what has come, for a wait whose time is over. */
export function readEvents(): void {
  // Fake timers may have their callbacks called by a handler.
  if (opened && !isDispatching) turn()
}

function takeBuffer(): boolean {
  if (!isPartial) {
    const parts = native.drain()
    if (parts === null) {
      reader.drop()
      return false
    }
    reader.take(parts)
    next = 0
  }
  isPartial = !dispatch()
  for (const flushSystem of flushes) flushSystem()
  return true
}

/** Dispatches what is left of the buffer. Returns whether that is everything: a handler that throws ends it. */
function dispatch(): boolean {
  isDispatching = true
  clearInterruption()
  const isDone = dispatchRecords()
  isDispatching = false
  return isDone
}

function dispatchRecords(): boolean {
  const { length } = reader.buf
  while (next < length || reader.isResumed) {
    if (!reader.isResumed) {
      if (waits()) return false
      begin()
    }
    const routed = targets.get(handle)
    if (routed !== undefined) routed.context.runInAsyncScope(dispatchRow, undefined, routed)
    if (isInterrupted()) return next >= length && !reader.isResumed
  }
  return true
}

/** Dispatches records as long as they are for this target: most come in a row, and entering a context takes time. */
function dispatchRow(routed: Routed): void {
  const { length } = reader.buf
  const row = handle
  for (;;) {
    try {
      routed.target.handleEvent(kind, reader)
    } catch (error) {
      throwAsync(error)
    }
    reader.isResumed = isInterrupted() && isMany(kind) && reader.more && targets.has(handle)
    if (isInterrupted() || next >= length || reader.buf.readUInt32LE(next + HANDLE_AT) !== row) return
    // It may have been forgotten, and its handle taken by another.
    if (targets.get(row) !== routed || waits()) return
    begin()
  }
}

/** Whether the next record calls handlers, and what was settled before it is to go on first. */
function waits(): boolean {
  const { buf } = reader
  const kind = ((buf[next + KIND_AT] as number) << 8) | (buf[next + KIND_AT + 1] as number)
  return CALLS.has(kind) && mustWait()
}

/** Kinds of records for which handlers are called at once. */
const CALLS: ReadonlySet<number> = new Set([
  ACCEPTED,
  DELIVERED,
  DELIVERED_MANY,
  DELIVERED_TIMED,
  SOCKET_DATA,
  SOCKET_REQUEST_RECEIVED,
  SOCKET_STATE,
  SOCKET_TIMED,
])
/** Where a record has its kind, behind its length. */
const KIND_AT = 4
/** Where a record has its handle, behind its length and its kind. */
const HANDLE_AT = 6

/** Reads the head of the next record. */
function begin(): void {
  reader.pos = next
  next += reader.u32() + 4
  reader.end = next
  kind = reader.kind()
  handle = reader.u32()
}

/** Whether a record has several messages, and its rest can be read later. */
function isMany(kind: number): boolean {
  return kind === SOCKET_DATA_MANY || kind === DELIVERED_MANY || kind === SOCKETY_RECORDS
}
