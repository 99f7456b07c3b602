// Errors that a user's handler throws.
import { nextTick } from './platform'

/**
 * Throws an error of a user's handler as an uncaught exception, as Node.js does, where it cannot interrupt
 * the caller.
 */
export function throwAsync(error: unknown): void {
  nextTick(() => {
    throw error
  })
}
