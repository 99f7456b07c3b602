// What is waited for beside events, with `timeout` and `signal`: that all is flushed, that a bridge has drained.
import { settledWithin } from '../async/bounds'
import { startTimer } from '../async/timer'
import { abortFailure, errorFrom, Failure } from '../values/failure'
import { argType, outOfRange, systemError } from './errors'
import { MAX_TIMER } from './options'

export interface FlushOptions {
  timeout?: number
  signal?: AbortSignal
}

export interface DrainOptions {
  deadline?: number
  signal?: AbortSignal
}

const DEADLINE = 10_000

/** Resolves as the promise does; rejects with `ETIMEDOUT` or `ABORT_ERR` if that takes too long. */
export async function flushedWithin(
  start: () => Promise<void>,
  subject: string | undefined,
  options: FlushOptions = {},
): Promise<void> {
  checkTime('options.timeout', options.timeout)
  checkSignal(options.signal)
  const failure = await settledWithin(start(), options, 'not everything is flushed')
  if (!(failure instanceof Failure)) return
  throw failure.code === 408
    ? systemError('flush', 'ETIMEDOUT', subject, errorFrom(failure))
    : errorFrom(failure)
}

/**
 * Resolves when a server has closed, and both sides of each of its connections; what is open at the deadline is cut off. An abort
 * ends the waiting, not the drain.
 */
export async function drained(
  server: { close(callback: (error?: Error) => void): unknown },
  open: { cutOff(): void; whenEmpty(): Promise<void> },
  { deadline = DEADLINE, signal }: DrainOptions = {},
): Promise<void> {
  checkTime('options.deadline', deadline)
  checkSignal(signal)
  const timer = startTimer(Math.max(1, deadline), () => open.cutOff())
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
    .then(() => open.whenEmpty())
    .then(() => timer.stop())
  const failure = await settledWithin(closed, { signal }, 'the drain goes on')
  if (failure instanceof Failure) throw errorFrom(failure)
}

function checkTime(name: string, value: unknown): void {
  if (value === undefined) return
  if (typeof value !== 'number') throw argType(name, 'of type number', value)
  if (!(value >= 0 && value <= MAX_TIMER)) throw outOfRange(name, `>= 0 && <= ${MAX_TIMER}`, value)
}

/** Throws if it is none, or aborted already: then nothing has begun. */
function checkSignal(signal: unknown): void {
  if (signal === undefined) return
  if (!(signal instanceof AbortSignal)) throw argType('options.signal', 'an instance of AbortSignal', signal)
  if (signal.aborted) throw errorFrom(abortFailure(signal))
}
