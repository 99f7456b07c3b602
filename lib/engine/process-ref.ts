// Counts what keeps the process alive, and tells the engine when the first one appears or the last one is
// gone.
import { nextTurn } from '../values/platform'
import { native } from './native'

let count = 0
let isHeld = false
let isChecking = false

/** Adds a reason to stay alive. */
export function retain(): void {
  count += 1
  if (!isHeld) {
    isHeld = true
    native.hold(true)
  }
}

/** Removes a reason. */
export function release(): void {
  count -= 1
  if (count === 0 && !isChecking) {
    isChecking = true
    // Deferred: a loop of requests would otherwise cross the boundary twice for each.
    nextTurn(letGo)
  }
}

/** Returns the number of reasons; tests check it when everything is closed. @internal */
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

/** The reason of one object: counted while it is active, unless it was unref'd. */
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
