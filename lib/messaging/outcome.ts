// Converts the engine's outcome to what the application gets: a value, or an error with the caller's line in
// its stack.
import type { Published, PublishOptions } from '../../index'
import { errorFrom, Failure } from '../values/failure'
import type { Outcome } from './ticket'

/**
 * Returns the value or throws the failure. Must be called in the async method that the user awaits (see
 * `errorFrom`).
 */
export function unwrap<T extends Outcome>(outcome: Outcome): T {
  if (outcome instanceof Failure) throw errorFrom(outcome)
  return outcome as T
}

/** Returns the result of a publish, or throws. */
export async function resolvePublish(
  pending: Promise<Outcome> | Failure,
  options: PublishOptions | undefined,
): Promise<Published> {
  const outcome = await pending
  if (options?.noThrow && outcome instanceof Failure) return { bytes: 0, count: 0 }
  return unwrap(outcome)
}

/**
 * Resolves a reply. Handlers often do not await it, and a requester that is gone or a client that was closed
 * must not end the process. So a failure counts as handled, but only once it has happened: V8 finds the
 * caller's line only as long as nothing else awaits the promise.
 */
export function resolveReply(
  pending: Promise<Outcome> | Failure,
  options: PublishOptions | undefined,
): Promise<Published> {
  const answer: Promise<Published> = resolveOr(pending, options, () => void answer.catch(() => {}))
  return answer
}

async function resolveOr(
  pending: Promise<Outcome> | Failure,
  options: PublishOptions | undefined,
  handleFailure: () => void,
): Promise<Published> {
  try {
    return await resolvePublish(pending, options)
  } catch (error) {
    handleFailure()
    throw error
  }
}
