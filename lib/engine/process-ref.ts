// Counts what keeps the process alive, and tells the engine when there is something or nothing left.
import { nextTurn } from '../values/platform'
import { native } from './native'

let count = 0
let isHeld = false
let isChecking = false

/** One more reason to stay. */
export function retain(): void {
  count += 1
  if (!isHeld) {
    isHeld = true
    native.hold(true)
  }
}

/** One reason less. */
export function release(): void {
  count -= 1
  if (count === 0 && !isChecking) {
    isChecking = true
    // Not at once: a loop of requests would cross the boundary twice for each.
    nextTurn(letGo)
  }
}

/** Returns how many reasons there are to stay; the tests check it when everything is closed. @internal */
export function refCount(): number {
  return count
}

function letGo(): void {
  isChecking = false
  if (count === 0 && isHeld) {
    isHeld = false
    native.hold(false)
  }
}

/** The reason of one object: counted while the object is active, unless it was unref'd. */
export class ProcessRef {
  #isActive = false
  #isRefd = true

  set(isActive: boolean): void {
    if (isActive === this.#isActive) return
    this.#isActive = isActive
    if (this.#isRefd) isActive ? retain() : release()
  }

  ref(): void {
    if (this.#isRefd) return
    this.#isRefd = true
    if (this.#isActive) retain()
  }

  unref(): void {
    if (!this.#isRefd) return
    this.#isRefd = false
    if (this.#isActive) release()
  }
}
