// How a command is stopped: the first signal in order, the second at once.

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const

let stop: AbortController | undefined

/** Aborted by the first SIGINT or SIGTERM; the second ends the process. */
export function stopSignal(): AbortSignal {
  if (stop === undefined) {
    const controller = new AbortController()
    stop = controller
    for (const [name, exit] of Object.entries(SIGNALS)) {
      process.on(name, () => {
        if (controller.signal.aborted) process.exit(exit)
        controller.abort()
      })
    }
  }
  return stop.signal
}

/** Stops the command as the first signal does. */
export function requestStop(): void {
  stopSignal()
  stop?.abort()
}

/** Thrown by waits that a signal has ended: the command was stopped, which is no failure. */
export class Stopped extends Error {
  constructor() {
    super('stopped')
  }
}

/** Resolves when the command is to stop. */
export function stopped(): Promise<void> {
  return new Promise(resolve => void onStop(() => resolve()))
}

/** Calls `end` when the command is to stop: at once if that was said before. Returns what takes it back. */
export function onStop(end: () => void): () => void {
  const signal = stopSignal()
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
  return () => signal.removeEventListener('abort', end)
}

/** Resolves after so many ms, or when it is to stop. */
export function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      stop.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    stop.addEventListener('abort', done)
    if (stop.aborted) done()
  })
}
