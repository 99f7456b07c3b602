// Errors that a user's handler throws.
import { nextTick } from './platform'

let interrupted = false

/**
 * Throws an error of a user's handler as an uncaught exception, as Node.js does, where it cannot interrupt
 * the caller. Handlers behind it wait for the next turn of the event loop (`isInterrupted`): a process that dies
 * of the error has handled nothing more.
 */
export function throwAsync(error: unknown): void {
  interrupted = true
  nextTick(() => {
    throw error
  })
}

/** Whether a handler has thrown since `clearInterruption`. */
export function isInterrupted(): boolean {
  return interrupted
}

export function clearInterruption(): void {
  interrupted = false
}
