// Messages that were sent and may be answered.
import type { WaitOptions } from '../../index'
import type { Connection, Response } from '../../types/sockety'
import { onAbort } from '../async/aborts'
import { checkWait, settledWithin } from '../async/bounds'
import { FabricError } from '../values/errors'
import { abortFailure, errorFrom, Failure } from '../values/failure'
import { checkOptions, isSignal, isTimeout } from '../values/option-checks'
import type { Flush } from './flush'
import type { OutgoingStream } from './streams'
import type { UUID } from './uuid'

const RESPONSE_SHAPE = { timeout: isTimeout, signal: isSignal }

export interface ResponseOptions {
  timeout?: number
  signal?: AbortSignal
}

type Answer = Response | number

/** As a number: the engine keeps nothing for it. */
export const UNAWAITED = 0xffffffff

/** Where a request says whether somebody waits for its answer. */
interface Waiting {
  ask(request: Request): void
  giveUp(request: Request): void
}

interface Waiter {
  resolve(answer: Answer): void
  reject(error: unknown): void
}

export class Request {
  readonly id: UUID
  readonly stream: OutgoingStream | null
  readonly connection: Connection
  /** By which the engine knows it. @internal */
  readonly number: number
  readonly #requests: Waiting
  readonly #sent: Flush
  /** Its answer finds it. */
  #isKnown: boolean
  #answer: Answer | undefined
  #error: Error | undefined
  #waiter: Waiter | undefined
  /** Beside the first one. */
  #others: Set<Waiter> | undefined

  /** @internal */
  constructor(
    connection: Connection,
    requests: Waiting,
    number: number,
    id: UUID,
    stream: OutgoingStream | null,
    sent: Flush,
  ) {
    this.connection = connection
    this.#requests = requests
    this.number = number
    this.#isKnown = number !== UNAWAITED
    this.id = id
    this.stream = stream
    this.#sent = sent
  }

  /** Returns whether header, data and files have left. */
  isSent(): boolean {
    return this.#sent.isDone
  }

  /** Resolves when header, data and files have left. The stream, if there is one, has its own `finish`. */
  async sent(options?: WaitOptions): Promise<this> {
    checkWait('sent', options)
    const outcome = await settledWithin(this.#sent.promise(), options, 'the message has not left')
    if (outcome instanceof Failure) throw errorFrom(outcome)
    return this
  }

  /** Resolves with the first answer, whether it has come or will. */
  response(options?: ResponseOptions): Promise<Answer> {
    if (options !== undefined) return this.#limited(options)
    if (this.#answer !== undefined) return Promise.resolve(this.#answer)
    if (this.#error !== undefined) return Promise.reject(this.#error)
    return new Promise((resolve, reject) => this.#add({ resolve, reject }))
  }

  /** @internal */
  handleAnswer(answer: Answer): void {
    this.#answer = answer
    this.#waiter?.resolve(answer)
    if (this.#others !== undefined) for (const waiter of this.#others) waiter.resolve(answer)
    this.#waiter = this.#others = undefined
  }

  /** @internal */
  fail(error: Error): void {
    this.#error = error
    this.#waiter?.reject(error)
    if (this.#others !== undefined) for (const waiter of this.#others) waiter.reject(error)
    this.#waiter = this.#others = undefined
  }

  #add(waiter: Waiter): void {
    if (this.#waiter === undefined) this.#waiter = waiter
    else {
      this.#others ??= new Set()
      this.#others.add(waiter)
    }
    if (this.#isKnown) return
    this.#isKnown = true
    this.#requests.ask(this)
  }

  #remove(waiter: Waiter): void {
    if (this.#waiter === waiter) this.#waiter = undefined
    this.#others?.delete(waiter)
    if (this.#waiter !== undefined || (this.#others?.size ?? 0) > 0) return
    this.#isKnown = false
    this.#requests.giveUp(this)
  }

  async #limited(options: ResponseOptions): Promise<Answer> {
    checkOptions('response', options, RESPONSE_SHAPE)
    const { timeout, signal } = options
    if (signal?.aborted) throw errorFrom(abortFailure(signal))
    if (this.#answer !== undefined) return this.#answer
    if (this.#error !== undefined) throw this.#error
    let timer: NodeJS.Timeout | undefined
    let stop: (() => void) | undefined
    try {
      return await new Promise((resolve, reject) => {
        const waiter = { resolve, reject }
        this.#add(waiter)
        const giveUp = (error: unknown): void => {
          this.#remove(waiter)
          reject(error)
        }
        if (timeout !== undefined) {
          const error = new FabricError(`no response within ${timeout} ms`, 408)
          timer = setTimeout(giveUp, timeout, error)
        }
        if (signal !== undefined) stop = onAbort(signal, () => giveUp(errorFrom(abortFailure(signal))))
      })
    } finally {
      clearTimeout(timer)
      stop?.()
    }
  }
}
