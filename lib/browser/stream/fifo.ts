// A queue whose oldest entries are taken one by one, however long it is.
export class Fifo<T> {
  #items: T[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  get first(): T | undefined {
    return this.#items[this.#head]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined as T
    if (this.#head > 1000 && this.#head * 2 > this.#items.length) this.replace(this.toArray())
    return item
  }

  at(index: number): T | undefined {
    return this.#items[this.#head + index]
  }

  toArray(): T[] {
    return this.#items.slice(this.#head)
  }

  replace(items: T[]): void {
    this.#items = items
    this.#head = 0
  }
}
