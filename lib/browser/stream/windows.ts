// How much one end takes of each class before it has handled it, and how much of that is used.

import { Fifo } from './fifo'
import type { Class } from './items'

export interface Window {
  readonly messages: number
  readonly bytes: number
}

export type Windows = readonly [data: Window, requests: Window, answers: Window]

export const MAX_IN_FLIGHT_BYTES = 16 * 1024 * 1024
/** Bytes that go again for one question, and what an item costs beside its bytes. */
export const MAX_RESEND = 8_000_000
export const RESEND_OVERHEAD = 64
const MIN_DATA = 10_000

/** What an end with these bounds of its own takes. */
export function ownWindows(maxQueueSize: number, maxQueueBytes: number): Windows {
  return [
    { messages: Math.max(maxQueueSize, MIN_DATA), bytes: Math.min(maxQueueBytes, MAX_IN_FLIGHT_BYTES) },
    { messages: 1000, bytes: MAX_IN_FLIGHT_BYTES },
    { messages: 10_000, bytes: MAX_IN_FLIGHT_BYTES },
  ]
}

export function listOf(windows: Windows): number[] {
  return windows.flatMap(({ messages, bytes }) => [messages, bytes])
}

/** Six numbers, or nothing. One message of each class always has a place. */
export function windowsOf(list: unknown): Windows | undefined {
  if (!Array.isArray(list) || list.length !== 6 || !list.every(isNumber)) return undefined
  const window = (at: number): Window => ({
    messages: Math.max(1, list[at] as number),
    bytes: Math.max(1, list[at + 1] as number),
  })
  return [window(0), window(2), window(4)]
}

export function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Messages of one class that are not handled, oldest first, by their bytes. */
export class Ledger {
  readonly #sizes = new Fifo<number>()
  bytes = 0

  get count(): number {
    return this.#sizes.length
  }

  push(bytes: number): void {
    this.#sizes.push(bytes)
    this.bytes += bytes
  }

  /** Removes the oldest, at most all, and returns their bytes. */
  remove(count: number): number {
    const before = this.bytes
    for (let left = count; left > 0 && this.#sizes.length > 0; left--)
      this.bytes -= this.#sizes.shift() as number
    return before - this.bytes
  }

  /** Whether a window has room for one more. */
  hasRoom(window: Window, bytes: number): boolean {
    return this.count < window.messages && (this.count === 0 || this.bytes + bytes <= window.bytes)
  }

  isFull(window: Window): boolean {
    return this.count >= window.messages || this.bytes >= window.bytes
  }
}

export function ledgers(): Record<Class, Ledger> {
  return [new Ledger(), new Ledger(), new Ledger()]
}

/** A pause that grows: 500 ms, then 1.3 times as much, to 15 s. */
export class Pause {
  #current = FIRST_PAUSE

  get current(): number {
    return this.#current
  }

  take(): number {
    const pause = this.#current
    this.#current = Math.min(MAX_PAUSE, pause * 1.3)
    return pause
  }

  reset(): void {
    this.#current = FIRST_PAUSE
  }
}

const FIRST_PAUSE = 500
const MAX_PAUSE = 15_000
