// Everything that `values/` takes from Node.js. A build for browsers replaces this file, and nothing else of the room.
import { Buffer } from 'node:buffer'
import { nextTick as nodeNextTick } from 'node:process'
import { setImmediate as nodeNextTurn } from 'node:timers'
import { types } from 'node:util'

export { Buffer }

// The event loop's own functions, as they were when this was loaded: an application's tests may replace them by some
// that never call.
export const nextTick: typeof nodeNextTick = nodeNextTick
export const nextTurn: typeof nodeNextTurn = nodeNextTurn

/** Asks the JavaScript engine, and not by `instanceof`, which a Proxy answers with code of the user. */
export const isUint8Array: typeof types.isUint8Array = types.isUint8Array
