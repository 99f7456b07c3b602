// Counts what keeps the process alive, and tells the engine when there is something or nothing left.
import { nextTurn } from '../values/platform'
import { native } from './native'

let count = 0
let held = false
let checking = false

/** One more reason to stay. */
export function retain(): void {
  count += 1
  if (!held) {
    held = true
    native.hold(true)
  }
}

/** One reason less. */
export function release(): void {
  count -= 1
  if (count === 0 && !checking) {
    checking = true
    // Not at once: a loop of requests would cross the boundary twice for each.
    nextTurn(letGo)
  }
}

/** How many refCount there are: what the suite checks when it has closed everything. @internal */
export function refCount(): number {
  return count
}

function letGo(): void {
  checking = false
  if (count === 0 && held) {
    held = false
    native.hold(false)
  }
}

/** The hold of one object: active while the object has a reason, and counted unless it was unref'd. */
export class ProcessRef {
  #active = false
  #wanted = true

  set(active: boolean): void {
    if (active === this.#active) return
    this.#active = active
    if (this.#wanted) active ? retain() : release()
  }

  want(wanted: boolean): void {
    if (wanted === this.#wanted) return
    this.#wanted = wanted
    if (this.#active) wanted ? retain() : release()
  }
}
