// First in, first out. Taking is cheap, however much waits.

export class Fifo<T> {
  #items: T[] = []
  /** Of them, those that were taken. */
  #taken = 0

  get length(): number {
    return this.#items.length - this.#taken
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.#taken === this.#items.length) return undefined
    const item = this.#items[this.#taken] as T
    this.#items[this.#taken] = undefined as T
    this.#taken += 1
    if (this.#taken * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#taken)
      this.#taken = 0
    }
    return item
  }

  clear(): T[] {
    const left = this.#items.slice(this.#taken)
    this.#items = []
    this.#taken = 0
    return left
  }
}
