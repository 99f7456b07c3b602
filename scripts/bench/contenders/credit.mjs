/** How many messages may be in flight: the window that the peers lack. */
export class Credit {
  sent = 0
  #acknowledged = 0
  #waiting = []
  #window

  constructor(window) {
    this.#window = window
  }

  /** Whether no more may be sent now. */
  used() {
    return this.sent - this.#acknowledged >= this.#window
  }

  /** `total`: so many have been read since the beginning. */
  acknowledge(total) {
    this.#acknowledged = total
    if (this.#waiting.length === 0) return
    const open = this.sent - total
    const ready = this.#waiting.filter(({ at }) => open <= at)
    this.#waiting = this.#waiting.filter(({ at }) => open > at)
    for (const { resolve } of ready) resolve()
  }

  /** One more was read. */
  acknowledgeOne() {
    this.acknowledge(this.#acknowledged + 1)
  }

  /** Resolves when at most `at` are in flight. */
  below(at) {
    if (this.sent - this.#acknowledged <= at) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push({ at, resolve }))
  }
}
