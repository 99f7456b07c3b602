// `end()` of a socket or a socket server: it happens once, and all callers wait for it.
import { checkWait, settledWithin, type Why } from '../async/bounds'
import { errorFrom, type Failure } from '../values/failure'
import { END_SHAPE, type EndOptions } from './options'

interface Act {
  /** Resolves with why messages are left, if any are. */
  finish(): Promise<Failure | undefined>
  /** Called with the times of a later call. */
  hasten(options: EndOptions): void
}

export class EndOnce {
  #running: Promise<Failure | undefined> | undefined

  /** Calls `finish` unless that has been done. Rejects with what it resolves with, if anything. */
  run(options: EndOptions | undefined, act: Act, why: Why): Promise<void> {
    // Often nobody awaits it: a failure counts as handled, once it has happened (as in `resolveReply`).
    const ended: Promise<void> = this.#run(options, act, why, () => void ended.catch(() => {}))
    return ended
  }

  async #run(options: EndOptions | undefined, act: Act, why: Why, handleFailure: () => void): Promise<void> {
    checkWait('end', options, END_SHAPE)
    if (this.#running === undefined) this.#running = act.finish()
    else if ((options?.timeout ?? options?.idle) !== undefined) act.hasten(options as EndOptions)
    const bounds = { signal: options?.signal }
    const failure = await settledWithin(this.#running, bounds, 'the end goes on', why)
    if (failure === undefined) return
    handleFailure()
    throw errorFrom(failure)
  }
}
