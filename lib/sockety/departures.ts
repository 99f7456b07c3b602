// What a peer does must not end the process. Failures that say nothing but that it has gone are excused, if nobody looks
// at them; those for which it is to blame end its connection.
import type { FabricError } from '../values/errors'

/** By the connection that is gone. */
const departures = new WeakMap<object, number>()

/** Marks an error: it says that a connection is gone, or that its peer has given a message up. */
export function departure<E extends Error>(error: E, connection: number): E {
  departures.set(error, connection)
  return error
}

/** Returns whether an error says only that; `connection`: of this one. */
export function isDeparture(error: unknown, connection?: number): boolean {
  if (typeof error !== 'object' || error === null) return false
  const gone = departures.get(error)
  return gone !== undefined && (connection === undefined || gone === connection)
}

/** By the connection whose peer is to blame. */
const faults = new WeakMap<object, number>()

/** Marks an error: it says that a peer has sent what cannot be taken. */
export function fault<E extends object>(error: E, connection: number): E {
  faults.set(error, connection)
  return error
}

export function isFault(error: unknown, connection: number): error is FabricError {
  return typeof error === 'object' && error !== null && faults.get(error) === connection
}

/** Returns a promise that settles as `promise` does, and that nobody has to look at for a departure. */
export function excused<T>(promise: Promise<T>): Promise<T> {
  const result: Promise<T> = new Promise((resolve, reject) => {
    promise.then(resolve, error => {
      excuse(result, error)
      reject(error)
    })
  })
  return result
}

/** Looks at a promise that is about to be rejected, if that is for a departure. */
export function excuse(promise: Promise<unknown> | undefined, error: unknown): void {
  if (isDeparture(error)) promise?.catch(() => {})
}
