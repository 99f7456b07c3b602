// Timers of waits.
import { readEvents } from '../engine/events'
import { clearTimer, setTimer } from '../values/platform'

export interface Timer {
  stop(): void
  /** Does not keep the process alive. */
  unref(): void
}

/**
 * Calls `callback` once, after so many ms, unless it is stopped before. What had come by then is dispatched first: a
 * thread that was busy finds what it waited for, and not that it is late.
 */
export function startTimer(ms: number, callback: () => void): Timer {
  let isStopped = false
  const timer = setTimer(() => {
    readEvents()
    if (!isStopped) callback()
  }, ms)
  const stop = (): void => {
    isStopped = true
    clearTimer(timer)
  }
  return { stop, unref: () => void timer.unref() }
}
