// What values/platform.ts takes from Node.js, for pages: scripts/bundle.mjs puts this file in its place. No page needs
// anything of Node.js, and no test replaces timers here.
import { looseTextOf, utf8 } from './wire/bytes'

/** The few methods of Node's that `values/` uses. What applications get are plain arrays of bytes: `plain`. */
class Bytes extends Uint8Array {
  static override from(source: unknown, start?: unknown, length?: unknown): Bytes {
    if (typeof source === 'string') return new Bytes(utf8(source))
    if (source instanceof ArrayBuffer) return new Bytes(source, start as number, length as number)
    return new Bytes(source as Uint8Array)
  }

  static byteLength(text: string): number {
    return utf8(text).length
  }

  override indexOf(text: unknown): number {
    if (typeof text !== 'string') return super.indexOf(text as number)
    const first = text.charCodeAt(0)
    for (let at = super.indexOf(first); at >= 0; at = super.indexOf(first, at + 1)) {
      let matched = 1
      while (matched < text.length && this[at + matched] === text.charCodeAt(matched)) matched += 1
      if (matched === text.length) return at
    }
    return -1
  }

  override toString(): string {
    return looseTextOf(this)
  }
}

export { Bytes as Buffer }

/** A view of the same bytes without more methods than any. */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function nextTick(callback: () => void): void {
  queueMicrotask(callback)
}

/** What waits for its turn. A port is not slowed down in a hidden tab, as timers are. */
const waiting: (() => void)[] = []
const { port1, port2 } = new MessageChannel() as unknown as {
  port1: { onmessage: () => void; unref?(): void }
  port2: { postMessage(message: unknown): void }
}
port1.onmessage = () => waiting.shift()?.()
// Where there is such a thing, as in Node.js: an idle port keeps no process alive.
port1.unref?.()

export function nextTurn(callback: () => void): void {
  waiting.push(callback)
  port2.postMessage(null)
}

export const afterMicrotasks: typeof nextTurn = nextTurn

export const setTimer = (callback: () => void, ms: number): ReturnType<typeof setTimeout> =>
  setTimeout(callback, ms)
export const clearTimer = (timer: ReturnType<typeof setTimeout>): void => clearTimeout(timer)

export function keepInPlace(): void {}

export function isUint8Array(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array
}

export function isDate(value: unknown): value is Date {
  return value instanceof Date
}

export const isView: typeof ArrayBuffer.isView = ArrayBuffer.isView
