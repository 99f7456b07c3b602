// How the servers of a listener hear of each other: each says hello when it begins, and again and again.
import type { RoomHost } from './host'

/** Who says hello, and which process it is; nothing of a server that does not tell. */
export interface Hello {
  readonly id: string
  readonly instance: number | undefined
}

/**
 * Between two hellos, in ms; half of it more by chance. The shorter one for a while after a start, a reconnect and a loss:
 * where servers do not reach each other for a time, nothing tells of the end of it.
 */
const HELLO_EVERY = 10_000
const SEEK_EVERY = 2000
const SEEK_FOR = 5 * 60_000

export class Hellos {
  readonly #host: RoomHost
  readonly #subject: string
  readonly #instance: number
  readonly #hear: (hello: Hello) => void
  #stopHearing: (() => void) | undefined
  #timer: ReturnType<RoomHost['after']> | undefined
  #seeksUntil = 0
  #isClosed = false

  constructor(host: RoomHost, subject: string, instance: number, hear: (hello: Hello) => void) {
    this.#host = host
    this.#subject = subject
    this.#instance = instance
    this.#hear = hear
  }

  /** Hears the others from now on, and says hello. Never rejects. */
  async open(): Promise<void> {
    const { fabric } = this.#host
    try {
      const hellos = await fabric.subscribe(this.#subject)
      hellos.unref()
      if (this.#isClosed) {
        hellos.close()
        return
      }
      hellos.emitter.on('message', ({ data }) => {
        const hello = this.#read(data)
        if (hello !== undefined) this.#hear(hello)
      })
      const seek = (): void => this.seek()
      fabric.on('inbox', seek)
      this.#stopHearing = () => {
        fabric.off('inbox', seek)
        hellos.close()
      }
      this.seek()
    } catch {
      // Not permitted, or closed meanwhile: rooms of this server alone.
    }
  }

  say(): void {
    if (this.#isClosed) return
    const { fabric, id, subject } = this.#host
    const hello = { id, pattern: subject, version: 1, instance: this.#instance }
    fabric.publish(this.#subject, hello).catch(() => {})
  }

  /** Says hello, and says it often for a while: another server may be there, and look for this one. */
  seek(): void {
    if (this.#isClosed) return
    this.#seeksUntil = this.#host.now() + SEEK_FOR
    this.say()
    this.#tick()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.stop()
    this.#stopHearing?.()
  }

  #read(data: unknown): Hello | undefined {
    const { id, pattern, instance } = (data ?? {}) as Record<string, unknown>
    if (typeof id !== 'string' || pattern !== this.#host.subject) return undefined
    return { id, instance: readInstance(instance) }
  }

  #tick(): void {
    const every = this.#host.now() < this.#seeksUntil ? SEEK_EVERY : HELLO_EVERY
    const pause = every * (1 + this.#host.random() / 2)
    this.#timer?.stop()
    this.#timer = this.#host.after(pause, () => {
      this.say()
      this.#tick()
    })
  }
}

/** Returns the number of a process as it came over the fabric, or nothing for what is none. */
export function readInstance(value: unknown): number | undefined {
  return Number.isSafeInteger(value) ? (value as number) : undefined
}
