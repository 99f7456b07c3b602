// The event loop's own functions, as they were when this was loaded: an application's tests may replace them by some that never call.
import { nextTick as atNextTick } from 'node:process'
import { setImmediate as atNextTurn } from 'node:timers'

export const nextTick: typeof atNextTick = atNextTick
export const nextTurn: typeof atNextTurn = atNextTurn
