// How long something is waited for: `timeout` and `signal`, read, kept and taken off again in one place.
import { PacketError } from './errors'
import { startTimer, stopTimer } from './timer'

export interface Bounds {
  readonly timeout?: number
  readonly signal?: AbortSignal
}

/** Of whichever realm. */
export function isSignal(value: unknown): boolean {
  const { aborted, addEventListener } = (value ?? {}) as Partial<AbortSignal>
  return typeof aborted === 'boolean' && typeof addEventListener === 'function'
}

/** Resolves with what `start` does, unless that takes too long: it goes on alone. Aborted before, nothing is begun. */
export async function within<T>(start: () => Promise<T>, bounds: Bounds, what: string): Promise<T> {
  const { timeout, signal } = bounds
  if (signal?.aborted) throw aborted(what, signal)
  if (timeout === undefined && signal === undefined) return await start()
  let stop = (): void => undefined
  const late = new Promise<never>((_resolve, reject) => {
    const abort = (): void => reject(aborted(what, signal as AbortSignal))
    const timer = timeout && startTimer(() => reject(timedOut(what, timeout)), timeout)
    signal?.addEventListener('abort', abort)
    stop = () => {
      stopTimer(timer || undefined)
      signal?.removeEventListener('abort', abort)
    }
  })
  try {
    return await Promise.race([start(), late])
  } finally {
    stop()
  }
}

function timedOut(what: string, timeout: number): PacketError {
  return new PacketError(`${what} within ${timeout} ms`, 'ERR_PACKET_TIMEOUT', { reason: 'timeout' })
}

function aborted(what: string, signal: AbortSignal): PacketError {
  return new PacketError(`aborted: ${what}`, 'ERR_PACKET_ABORTED', {
    reason: 'aborted',
    cause: signal.reason,
  })
}
