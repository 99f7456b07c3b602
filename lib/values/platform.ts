// Everything that `values/` takes from Node.js. A build for browsers replaces this file, and nothing else of
// the room.
import { AsyncResource, executionAsyncResource } from 'node:async_hooks'
import { Buffer } from 'node:buffer'
import { nextTick as nodeNextTick, versions } from 'node:process'
import {
  clearTimeout as nodeClearTimeout,
  setImmediate as nodeNextTurn,
  setTimeout as nodeSetTimeout,
} from 'node:timers'
import { types } from 'node:util'
import { MessageChannel, type MessagePort, markAsUntransferable } from 'node:worker_threads'

export { Buffer }

/** Bytes as applications get them: what they are, here. */
export function plain(bytes: Buffer): Buffer {
  return bytes
}

// The event loop's functions as they were when this file was loaded: tests of an application may replace them
// with fakes that call back when the test says so, or never. If that was before, promises and ports, which
// nothing replaces, take their place. A function is trusted once the loop itself has called back.
const loadedTick = nodeNextTick
const loadedTurn = nodeNextTurn
let isTickReal = false
let isTurnReal = false
/** Other runtimes do not say what they are at. */
const isNode = !('bun' in versions) && !('deno' in versions)

function handleFirstTick(): void {
  isTickReal = !isNode || (executionAsyncResource() as { callback?: unknown }).callback === handleFirstTick
}
loadedTick(handleFirstTick)
const firstTurn: unknown = loadedTurn(() => {
  isTurnReal = !isNode || executionAsyncResource() === firstTurn
})

export function nextTick(callback: () => void): void {
  if (isTickReal) loadedTick(callback)
  else void Promise.resolve().then(callback)
}

export function nextTurn(callback: () => void): void {
  if (isTurnReal) loadedTurn(callback)
  else byPort(callback)
}

/** Calls back when the promises that are settled have gone on, and all that follows from them. */
export function afterMicrotasks(callback: () => void): void {
  if (!isTickReal) nextTurn(callback)
  // From a microtask, a tick comes when all others have run.
  else void Promise.resolve().then(() => loadedTick(callback))
}

/** What waits for a message, oldest first; and the port that sends it, open as long as something waits. */
const waiting: (() => void)[] = []
let port: MessagePort | undefined

/** Calls back from the event loop, by a message that this thread sends to itself. */
function byPort(callback: () => void): void {
  waiting.push(AsyncResource.bind(callback))
  port ??= openPort()
  port.postMessage(null)
}

function openPort(): MessagePort {
  const { port1, port2 } = new MessageChannel()
  port1.on('message', () => {
    const next = waiting.shift()
    if (waiting.length === 0) {
      port1.close()
      port = undefined
    }
    next?.()
  })
  return port2
}

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
