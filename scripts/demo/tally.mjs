// Which of the numbers 0, 1, 2 … have come, and how.
export class Tally {
  #have = new Set()
  #next = 0
  seen = 0
  repeated = 0
  disordered = 0
  damaged = 0

  add(n, intact) {
    if (!intact) this.damaged++
    if (this.#have.has(n)) {
      this.repeated++
      return
    }
    // After a gap order begins anew: the gap counts as lost, not every message behind it.
    if (n < this.#next) this.disordered++
    this.#next = Math.max(this.#next, n + 1)
    this.#have.add(n)
    this.seen++
  }
}
