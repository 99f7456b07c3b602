// What waits until written bytes have left.
import { excuse } from './departures'

/** Whoever is told when a mark has been passed, or never will be. */
export interface Marked {
  done(): void
  fail(error: Error): void
}

/** Everything that was sent in one tick: one mark for all of it. */
export class Flush implements Marked {
  isDone = false
  #error: Error | undefined
  #promise: Promise<void> | undefined
  #resolve: (() => void) | undefined
  #reject: ((error: Error) => void) | undefined

  /** Resolves when it has left. */
  promise(): Promise<void> {
    this.#promise ??= new Promise((resolve, reject) => {
      if (this.isDone) resolve()
      else if (this.#error !== undefined) reject(this.#error)
      this.#resolve = resolve
      this.#reject = reject
    })
    excuse(this.#promise, this.#error)
    return this.#promise
  }

  done(): void {
    this.isDone = true
    this.#resolve?.()
  }

  fail(error: Error): void {
    this.#error = error
    excuse(this.#promise, error)
    this.#reject?.(error)
  }
}

/** The marks of a connection that have not been passed. */
export class Marks {
  readonly #waiting = new Map<number, Marked>()
  #last = 0

  /** Returns the number of a mark for `marked`. */
  add(marked: Marked): number {
    this.#last = (this.#last % 0xfffffffe) + 1
    this.#waiting.set(this.#last, marked)
    return this.#last
  }

  /** Passes so many marks, one after another. */
  pass(first: number, count: number): void {
    for (let mark = first; mark < first + count; mark++) {
      const marked = this.#waiting.get(mark)
      this.#waiting.delete(mark)
      marked?.done()
    }
  }

  failAll(error: Error): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const marked of waiting) marked.fail(error)
  }
}
