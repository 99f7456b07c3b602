// Events as Node's EventEmitter has them: its methods, their order and their names. Ours, because pages have no `node:events`.
// There is no special event `error`.
import type { Agreed } from './agreed'

export type Listener = (...args: Agreed[]) => void
export type EventName = PropertyKey

interface Entry {
  /** What was added: the listener, or what calls it once. */
  readonly run: Listener
  readonly listener: Listener
}

/** More listeners of one event than this are taken for a leak by those who look at `getMaxListeners`. */
const DEFAULT_MAX_LISTENERS = 10

export class Emitter {
  readonly #entries = new Map<EventName, readonly Entry[]>()
  #maxListeners = DEFAULT_MAX_LISTENERS

  on(name: EventName, listener: Listener): this {
    return this.#add(name, { run: listener, listener }, false)
  }

  addListener(name: EventName, listener: Listener): this {
    return this.on(name, listener)
  }

  prependListener(name: EventName, listener: Listener): this {
    return this.#add(name, { run: listener, listener }, true)
  }

  once(name: EventName, listener: Listener): this {
    return this.#add(name, this.#onceOf(name, listener), false)
  }

  prependOnceListener(name: EventName, listener: Listener): this {
    return this.#add(name, this.#onceOf(name, listener), true)
  }

  off(name: EventName, listener: Listener): this {
    const entries = this.#entries.get(name) ?? []
    let index = entries.length - 1
    while (index >= 0 && entries[index]?.listener !== listener && entries[index]?.run !== listener) index -= 1
    // A copy: who is being called goes on with the listeners of before.
    if (index >= 0) this.#set(name, [...entries.slice(0, index), ...entries.slice(index + 1)])
    return this
  }

  removeListener(name: EventName, listener: Listener): this {
    return this.off(name, listener)
  }

  removeAllListeners(name?: EventName): this {
    if (name === undefined) this.#entries.clear()
    else this.#entries.delete(name)
    return this
  }

  emit(name: EventName, ...args: unknown[]): boolean {
    const entries = this.#entries.get(name)
    if (entries === undefined) return false
    for (const { run } of entries) run.apply(this, args)
    return true
  }

  listenerCount(name: EventName, listener?: Listener): number {
    const entries = this.#entries.get(name) ?? []
    return listener === undefined ? entries.length : entries.filter(each => each.listener === listener).length
  }

  listeners(name: EventName): Listener[] {
    return (this.#entries.get(name) ?? []).map(({ listener }) => listener)
  }

  rawListeners(name: EventName): Listener[] {
    return (this.#entries.get(name) ?? []).map(({ run }) => run)
  }

  eventNames(): EventName[] {
    return [...this.#entries.keys()]
  }

  setMaxListeners(count: number): this {
    this.#maxListeners = count
    return this
  }

  getMaxListeners(): number {
    return this.#maxListeners
  }

  #add(name: EventName, entry: Entry, isFirst: boolean): this {
    if (typeof entry.listener !== 'function') throw new TypeError('The listener must be a function')
    const entries = this.#entries.get(name) ?? []
    this.#set(name, isFirst ? [entry, ...entries] : [...entries, entry])
    return this
  }

  #set(name: EventName, entries: readonly Entry[]): void {
    if (entries.length === 0) this.#entries.delete(name)
    else this.#entries.set(name, entries)
  }

  #onceOf(name: EventName, listener: Listener): Entry {
    const run = (...args: unknown[]): void => {
      this.off(name, run)
      listener.apply(this, args)
    }
    return { run, listener }
  }
}
