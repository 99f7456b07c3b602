// What becomes of an error that a user's handler throws.
import { nextTick } from './platform'

/** Throws what a user's handler threw where it cannot break a drain: as an uncaught exception, as Node does. */
export function throwAsync(error: unknown): void {
  nextTick(() => {
    throw error
  })
}
