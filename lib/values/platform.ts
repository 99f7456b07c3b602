// Everything that `values/` takes from Node.js. A build for browsers replaces this file, and nothing else of
// the room.
import { Buffer } from 'node:buffer'
import { nextTick as nodeNextTick } from 'node:process'
import {
  clearTimeout as nodeClearTimeout,
  setImmediate as nodeNextTurn,
  setTimeout as nodeSetTimeout,
} from 'node:timers'
import { types } from 'node:util'
import { markAsUntransferable } from 'node:worker_threads'

export { Buffer }

// The event loop's functions as they were when this file was loaded: tests of an application may replace them
// with fakes that never call back. If that was before, promises, which nothing can replace, take their place.
const loadedTick = nodeNextTick
const loadedTurn = nodeNextTurn
let isTickReal = false
let isTurnReal = false
loadedTick(() => {
  isTickReal = true
})
loadedTurn(() => {
  isTurnReal = true
})

export function nextTick(callback: () => void): void {
  if (isTickReal) loadedTick(callback)
  else void Promise.resolve().then(callback)
}

export function nextTurn(callback: () => void): void {
  if (isTurnReal) loadedTurn(callback)
  else void afterPromises().then(callback)
}

/** Calls back when the promises that are settled have gone on, and all that follows from them. */
export function afterMicrotasks(callback: () => void): void {
  if (!isTickReal) nextTurn(callback)
  // From a microtask, a tick comes when all others have run.
  else void Promise.resolve().then(() => loadedTick(callback))
}

/** Resolves when promises that are settled now have gone on, and what awaits those, some levels deep. */
async function afterPromises(): Promise<void> {
  for (let level = 0; level < PROMISE_LEVELS; level++) await undefined
}

/** An async function that returns what another one returns takes three; programs wrap requests in a few. */
const PROMISE_LEVELS = 30

/** Timers as they were when this file was loaded. */
export const setTimer: typeof nodeSetTimeout = nodeSetTimeout
export const clearTimer: typeof nodeClearTimeout = nodeClearTimeout

/**
 * Makes an array buffer stay where it is when a view of it is transferred to another thread: what others still
 * look at must not vanish under them. As Node does with its own pool.
 */
export const keepInPlace: (buffer: ArrayBufferLike) => void = markAsUntransferable

/** Checks by the JavaScript engine, and not with `instanceof`, which runs user code for a Proxy. */
export const isUint8Array: typeof types.isUint8Array = types.isUint8Array
export const isDate: typeof types.isDate = types.isDate
export const isView: typeof ArrayBuffer.isView = ArrayBuffer.isView
