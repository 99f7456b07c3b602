// From what the engine answers to what the application gets: a value, or an error that shows the line of whoever waits.
import type { Published, PublishOptions } from '../../index'
import { errorFrom, Failure } from '../values/failure'
import type { Outcome } from './ticket'

/** The value, or the failure thrown. Call it in the async method that the user awaits (see `errorFrom`). */
export function unwrap<T extends Outcome>(outcome: Outcome): T {
  if (outcome instanceof Failure) throw errorFrom(outcome)
  return outcome as T
}

/** What became of a publish. */
export async function resolvePublish(
  pending: Promise<Outcome>,
  options: PublishOptions | undefined,
): Promise<Published> {
  const outcome = await pending
  if (options?.noThrow && outcome instanceof Failure) return { bytes: 0, count: 0 }
  return unwrap(outcome)
}

/**
 * What became of an answer. Handlers answer without waiting for it: an asker that has gone, or a client closed meanwhile, must
 * not end the process. So it counts as handled; from its failure on, because V8 finds the line of whoever awaits a promise only while
 * nobody else does.
 */
export function resolveReply(
  pending: Promise<Outcome>,
  options: PublishOptions | undefined,
): Promise<Published> {
  const answer: Promise<Published> = resolveOr(pending, options, () => void answer.catch(() => {}))
  return answer
}

async function resolveOr(
  pending: Promise<Outcome>,
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
