// The servers of this process by their subjects: a connect waits for a listen that is under way.
import { matchesPattern } from '../values/subjects'

/** A server that is about to listen. */
export interface Starting {
  readonly subject: string
  /** Resolves when it listens, or will not. */
  readonly settled: Promise<void>
}

const starting = new Set<Starting>()

export function beginListen(one: Starting): void {
  starting.add(one)
  void one.settled.then(() => starting.delete(one))
}

/** Returns the listen that a connect to `subject` has to wait for. */
export function listenUnderWay(subject: string): Promise<void> | undefined {
  const found = [...starting].filter(({ subject: pattern }) => matchesPattern({ pattern, subject }))
  if (found.length === 0) return undefined
  return Promise.all(found.map(({ settled }) => settled)).then(() => undefined)
}
