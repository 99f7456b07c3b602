// A request of the other side that came in the stream of a socket.
import type { MessageOptions, Published, PublishOptions } from '../../index'
import type { Asked } from '../messaging/message'
import { REPLY_PUBLISH_SHAPE, REPLY_SHAPE } from '../messaging/options'
import { checkOptions } from '../values/option-checks'

/** The socket that it came to. */
interface Answerer {
  /** Writes an answer. Returns the length of its payload. */
  answer(request: StreamRequest, data: unknown, options: MessageOptions | undefined): number
  /** Writes that no more answers follow. */
  endAnswers(request: StreamRequest): void
}

export class StreamRequest implements Asked {
  readonly key: number
  /** Whether its sender takes several answers. */
  readonly isMany: boolean
  readonly timeout: number | undefined
  /** When it came, in ms. */
  readonly since: number
  /** Called once, when it is answered for the first time or nobody waits for the answer any more. */
  onOver: (() => void) | undefined
  isOpen = true
  /** Whether nobody waited for the answer any more. */
  isAborted = false
  readonly #answerer: Answerer
  #controller: AbortController | undefined

  constructor(answerer: Answerer, key: number, isMany: boolean, timeout: number, since: number) {
    this.#answerer = answerer
    this.key = key
    this.isMany = isMany
    this.timeout = timeout === 0 ? undefined : timeout
    this.since = since
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.isAborted) this.#controller.abort()
    }
    return this.#controller.signal
  }

  async respond(data: unknown, options: PublishOptions | undefined): Promise<Published> {
    checkOptions('respond', options, REPLY_PUBLISH_SHAPE)
    return this.#respond(data, options)
  }

  respondSync(data: unknown, options: MessageOptions | undefined): { bytes: number } {
    checkOptions('respondSync', options, REPLY_SHAPE)
    return { bytes: this.#respond(data, options).bytes }
  }

  end(): void {
    if (this.isMany) this.#answerer.endAnswers(this)
  }

  /** Nobody waits for the answer any more. */
  cancel(): void {
    if (!this.isOpen) return
    this.isAborted = true
    this.isOpen = false
    this.#handleOver()
    this.#controller?.abort()
  }

  /** It has had an answer that others may follow. */
  handleAnswer(): void {
    this.#handleOver()
  }

  /** It has had its last answer. */
  finish(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#handleOver()
  }

  #handleOver(): void {
    this.onOver?.()
    this.onOver = undefined
  }

  #respond(data: unknown, options: MessageOptions | undefined): Published {
    const wasOpen = this.isOpen
    const bytes = this.#answerer.answer(this, data, options)
    return { bytes, count: wasOpen ? 1 : 0 }
  }
}
