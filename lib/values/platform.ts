// Everything that `values/` takes from Node.js. A build for browsers replaces this file, and nothing else of
// the room.
import { Buffer } from 'node:buffer'
import { nextTick as nodeNextTick } from 'node:process'
import { setImmediate as nodeNextTurn } from 'node:timers'
import { types } from 'node:util'

export { Buffer }

// The event loop's functions as they were when this file was loaded: tests of an application may replace them
// with fakes that never call back.
export const nextTick: typeof nodeNextTick = nodeNextTick
export const nextTurn: typeof nodeNextTurn = nodeNextTurn

/** Checks by the JavaScript engine, and not with `instanceof`, which runs user code for a Proxy. */
export const isUint8Array: typeof types.isUint8Array = types.isUint8Array
