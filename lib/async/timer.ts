// Timers of the library.

export interface Timer {
  stop(): void
}

/** Calls `callback` once, after so many ms, unless it is stopped before. */
export function startTimer(ms: number, callback: () => void): Timer {
  const timer = setTimeout(callback, ms)
  return { stop: () => clearTimeout(timer) }
}
