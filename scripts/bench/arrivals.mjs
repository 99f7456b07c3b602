// What came: checked for order, completeness and damage.
import { now } from './clock.mjs'
import { check } from './payload.mjs'

const patience = 20_000 // ms until what has not come is missing

export class Arrivals {
  #round = 0
  #count = 0
  #wanted = Infinity
  #wrong
  #done

  /** Counts from 0 again, and so do all readers. */
  reset() {
    this.#round++
    this.#count = 0
    this.#wanted = Infinity
    this.#wrong = undefined
  }

  /** A listener for the messages of one stream. */
  reader() {
    let round = this.#round
    let next = 0
    return data => {
      if (round !== this.#round) {
        round = this.#round
        next = 0
      }
      const n = check(data)
      if (n !== next) this.#wrong ??= n < 0 ? 'one is damaged' : `${n} came instead of ${next}`
      next++
      if (++this.#count === this.#wanted) this.#done(now())
    }
  }

  /** Resolves with the time at which the last of `count` messages had come; rejects when they are not as they were sent. */
  async all(count) {
    let timer
    const last = await new Promise(resolve => {
      this.#done = resolve
      this.#wanted = count
      if (this.#count >= count) resolve(now())
      timer = setTimeout(resolve, patience)
    })
    clearTimeout(timer)
    if (this.#count !== count) throw Error(`${this.#count} messages came, ${count} were sent`)
    if (this.#wrong) throw Error(`wrong message: ${this.#wrong}`)
    return last
  }
}
