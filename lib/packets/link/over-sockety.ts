// Packets over a connection of Sockety: each side opens one message on the channel, whose stream has its frames. All other
// messages, files and streams of the connection stay as they are.
import type { Foreign } from '../agreed'
import { badOption } from '../errors'
import { Drained } from './drained'
import { End } from './end'
import { randomId } from './ids'
import type { PacketLink } from './link'

interface ReadableLike {
  on(event: string, listener: (...args: Foreign[]) => void): unknown
  pause(): unknown
  resume(): unknown
}

interface WritableLike {
  write(bytes: Uint8Array): boolean
  end(): unknown
  destroy(): unknown
  on(event: string, listener: (...args: Foreign[]) => void): unknown
}

interface MessageLike {
  readonly action: string
  readonly stream: ReadableLike | null
  accept(): Promise<unknown>
}

/** What is used of a connection. */
export interface SocketyConnectionLike {
  readonly closeReason: Error | null
  ready(): Promise<unknown>
  send(producer: Foreign): { readonly stream: unknown }
  on(event: Foreign, listener: (...args: Foreign[]) => void): unknown
}

/** What is used of the class `Draft`. */
export interface SocketyDraftLike {
  for(action: string): { stream(): (...input: Foreign[]) => unknown }
}

export function overSockety(
  connection: SocketyConnectionLike,
  Draft: SocketyDraftLike,
  options: { channel?: string } = {},
): PacketLink {
  if (typeof connection?.send !== 'function' || typeof connection.ready !== 'function') {
    throw badOption('connection must be a connection of Sockety', 'ERR_INVALID_ARG_TYPE')
  }
  if (typeof Draft?.for !== 'function')
    throw badOption('Draft must be that of selvedge/sockety', 'ERR_INVALID_ARG_TYPE')
  return new SocketyLink(connection, Draft, options.channel ?? 'packets')
}

class SocketyLink implements PacketLink {
  readonly kind = 'frames'
  readonly isStream = true
  readonly id = randomId()
  readonly #connection: SocketyConnectionLike
  readonly #Draft: SocketyDraftLike
  readonly #channel: string
  readonly #end = new End()
  #out: WritableLike | undefined
  #drained: Drained | undefined
  #in: ReadableLike | undefined
  #isPaused = false

  constructor(connection: SocketyConnectionLike, Draft: SocketyDraftLike, channel: string) {
    this.#connection = connection
    this.#Draft = Draft
    this.#channel = channel
    connection.on('close', () => {
      if (connection.closeReason !== null) this.#end.fail(connection.closeReason)
      this.#end.reach('the connection')
    })
  }

  send(message: Uint8Array): boolean {
    return this.#out === undefined || this.#end.isEnded ? true : this.#out.write(message)
  }

  writable(): Promise<void> {
    return this.#drained?.wait() ?? Promise.resolve()
  }

  pause(): void {
    this.#isPaused = true
    this.#in?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#in?.resume()
  }

  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void {
    this.#end.listen(closed)
    this.#connection.on('message', (opened: MessageLike) => {
      // One is enough: a second one nobody reads.
      if (opened.action !== this.#channel || opened.stream === null || this.#in !== undefined) return
      this.#in = opened.stream
      this.#in.on('data', (bytes: Uint8Array) => message(bytes))
      this.#in.on('error', error => this.#end.fail(error))
      this.#in.on('close', () => this.#handleClose(opened))
      if (this.#isPaused) this.#in.pause()
    })
  }

  ready(go: () => void): void {
    this.#connection.ready().then(
      () => {
        this.#out = this.#connection.send(this.#Draft.for(this.#channel).stream()()).stream as WritableLike
        this.#out.on('error', error => this.#end.fail(error))
        this.#drained = new Drained(this.#out)
        go()
      },
      error => {
        this.#end.fail(error)
        this.#end.reach('the connection')
      },
    )
  }

  close(): void {
    this.#end.begin(() => this.#out?.destroy())
    this.#out?.end()
    // Nothing was opened yet, and nothing will be.
    if (this.#out === undefined) queueMicrotask(() => this.#end.reach('the channel'))
  }

  abort(): void {
    if (this.#out === undefined) this.close()
    else this.#out.destroy()
  }

  /** The other side has ended its stream, or lost it. */
  #handleClose(opened: MessageLike): void {
    this.#out?.end()
    void release(opened)
    this.#end.reach('the channel')
  }
}

/** Its sender waits for no answer, but counts those that it could wait for. */
async function release(opened: MessageLike): Promise<void> {
  try {
    await opened.accept()
  } catch {
    // The connection is gone, and with it what was counted.
  }
}
