// Errors that a user's handler throws, and other reasons for handlers to wait for their turn.
import { afterMicrotasks, nextTick, nextTurn } from './platform'

/** Why handlers wait. */
enum Stop {
  None,
  /** A handler threw. */
  Thrown,
  /** What an earlier event settled goes on first. */
  Settled,
  /** The turn of the event loop is over. */
  Tired,
}

/**
 * Messages that are dispatched in a turn of the event loop. Then timers, I/O, and what the program's promises go on with have
 * theirs: what many messages have begun is not let grow.
 */
const MAX_A_TURN = 2048
/** The time that handlers may take of one, in ms: that of the last few is not counted, nor that of the first few. */
const MAX_TURN_MS = 20
/** So many are counted before it is asked whether the event loop has gone round, and each time before the clock is looked at. */
const FEW = 16

let stop: Stop = Stop.None
let hasSettled = false
/** In this turn, and those before it that had few. */
let dispatched = 0
/** When the first few had been dispatched. */
let startedAt = 0

/**
 * Throws an error of a user's handler as an uncaught exception, as Node.js does, where it cannot interrupt
 * the caller. Handlers behind it wait for the next turn of the event loop (`isInterrupted`): a process that dies
 * of the error has handled nothing more.
 */
export function throwAsync(error: unknown): void {
  stop = Stop.Thrown
  nextTick(() => {
    throw error
  })
}

/** Whether a handler has thrown since `clearInterruption`, or what was settled is to go on first. */
export function isInterrupted(): boolean {
  return stop !== Stop.None
}

export function clearInterruption(): void {
  stop = Stop.None
}

/**
 * Notes that a promise was settled which the application awaits: what it does then comes before handlers of
 * later events.
 */
export function noteSettled(): void {
  hasSettled = true
}

/** Called before a handler: whether it has to wait. Then nothing more is dispatched before `resumeWalk`. */
export function mustWait(): boolean {
  if (isTurnOver()) return true
  if (hasSettled) stop = Stop.Settled
  return hasSettled
}

/** The same for messages that nothing settled goes before. */
export function isTurnOver(): boolean {
  if (dispatched >= MAX_A_TURN || (dispatched > FEW && dispatched % FEW === 0 && isLate())) {
    stop = Stop.Tired
    return true
  }
  dispatched += 1
  if (dispatched === FEW) {
    // The engine may wake this thread a thousand times before the loop goes round.
    nextTurn(beginTurn)
    startedAt = performance.now()
  }
  return false
}

function isLate(): boolean {
  return performance.now() - startedAt > MAX_TURN_MS
}

function beginTurn(): void {
  dispatched = 0
}

/** Calls `walk` when it is the turn of the handlers that wait. */
export function resumeWalk(walk: () => void): void {
  if (stop !== Stop.Settled) {
    nextTurn(() => {
      beginTurn()
      walk()
    })
    return
  }
  afterMicrotasks(walk)
}

/** Notes that all that was settled before has gone on. */
export function beginWalk(): void {
  hasSettled = false
}
