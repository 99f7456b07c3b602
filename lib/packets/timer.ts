// Timers that do not keep a process alive: what they watch over does, or nothing should.

export type Timer = ReturnType<typeof setTimeout>

/** The longest time that timers take; a longer one would fire at once. */
export const MAX_TIMEOUT = 2 ** 31 - 1

/** Calls `fire` after so many milliseconds. */
export function startTimer(fire: () => void, timeout: number): Timer {
  const timer = setTimeout(fire, Math.min(MAX_TIMEOUT, Math.max(1, Math.ceil(timeout))))
  // In Node; in pages a timer is a number.
  ;(timer as { unref?(): void }).unref?.()
  return timer
}

/** Calls `go` in another turn of the event loop, and keeps the process alive until then. */
export function startWork(go: () => void): Timer {
  return setTimeout(go, 0)
}

export function stopTimer(timer: Timer | undefined): void {
  clearTimeout(timer)
}
