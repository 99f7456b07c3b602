// Abort signals: one listener a signal, however many calls share it. Node.js warns of many.

const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/** Calls `abort` when the signal is aborted. Returns what ends that. */
export function onAbort(signal: AbortSignal, abort: () => void): () => void {
  const calls = waiting.get(signal) ?? listen(signal)
  calls.add(abort)
  return () => {
    calls.delete(abort)
    if (calls.size > 0 || waiting.get(signal) !== calls) return
    waiting.delete(signal)
    signal.removeEventListener('abort', listenerOf(calls))
  }
}

const listeners = new WeakMap<Set<() => void>, () => void>()

function listen(signal: AbortSignal): Set<() => void> {
  const calls = new Set<() => void>()
  waiting.set(signal, calls)
  const listener = (): void => {
    waiting.delete(signal)
    for (const abort of calls) abort()
  }
  listeners.set(calls, listener)
  signal.addEventListener('abort', listener, { once: true })
  return calls
}

function listenerOf(calls: Set<() => void>): () => void {
  return listeners.get(calls) as () => void
}
