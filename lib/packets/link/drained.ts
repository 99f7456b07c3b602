// Who waits until a stream has room again, or is gone.

interface Emitting {
  on(event: string, listener: () => void): unknown
}

export class Drained {
  #waiting: (() => void)[] = []

  /** One pair of listeners, however many wait. */
  constructor(stream: Emitting) {
    const tell = (): void => {
      for (const resolve of this.#waiting.splice(0)) resolve()
    }
    stream.on('drain', tell)
    stream.on('close', tell)
  }

  wait(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }
}
