// Events, as Node's EventEmitter has them, as far as pages need them.
import { throwAsync } from '../../values/throw-async'

// biome-ignore lint/suspicious/noExplicitAny: each event has its own arguments
type Listener = (...args: any[]) => void

interface Registered {
  readonly listener: Listener
  readonly isOnce: boolean
}

export class Emitter<Events extends Record<keyof Events, unknown[]>> {
  readonly #listeners = new Map<keyof Events, readonly Registered[]>()
  /** Called for each new listener. @internal */
  protected handleListener(_name: keyof Events): void {}

  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this {
    return this.#add(name, listener, false)
  }

  once<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this {
    return this.#add(name, listener, true)
  }

  off<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this {
    const all = this.#listeners.get(name) ?? []
    const registered = [...all].reverse().find(other => other.listener === listener)
    if (registered !== undefined) this.#remove(name, registered)
    return this
  }

  /** Calls the listeners. One that throws does not stop the others: its error is the page's. Returns whether there are any. */
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): boolean {
    const all = this.#listeners.get(name) ?? []
    for (const registered of all) {
      if (registered.isOnce) this.#remove(name, registered)
      try {
        registered.listener(...args)
      } catch (error) {
        throwAsync(error)
      }
    }
    return all.length > 0
  }

  listenerCount(name: keyof Events): number {
    return this.#listeners.get(name)?.length ?? 0
  }

  #add(name: keyof Events, listener: Listener, isOnce: boolean): this {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), { listener, isOnce }])
    this.handleListener(name)
    return this
  }

  #remove(name: keyof Events, registered: Registered): void {
    const all = this.#listeners.get(name) ?? []
    this.#listeners.set(
      name,
      all.filter(other => other !== registered),
    )
  }
}
