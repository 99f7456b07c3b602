// The calls that a node makes: asks all, gathers what they answer, and settles when that is everything.
import type { Client } from '../../../index'
import { PacketError } from '../errors'
import { randomNumber } from '../link/ids'
import { startTimer, stopTimer, type Timer } from '../timer'
import { AnswerBudget, type AnswerShare } from './answer-budget'
import { Answers, answerOf, type NodeAnswer, tooMuch } from './answers'
import type { AnswerMessage, Subjects } from './messages'
import type { Nodes } from './nodes'

/** Milliseconds for an answer of a node that was not heard of, when all others have answered. */
const STRANGER_TIME = 250
/** Milliseconds between looks whether silent nodes are still there. */
const LOOK_INTERVAL = 250

export interface CallOptions {
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/** How a call ended: all is there, or who is silent after the time. */
export interface CallEnd {
  readonly answers: readonly NodeAnswer[]
  readonly silent: readonly string[]
}

/** A call that is open. */
interface Open {
  readonly type: string
  readonly answers: Answers
  readonly share: AnswerShare
  readonly handleAnswer: (answer: NodeAnswer) => void
  readonly finish: (error?: Error) => void
  timers: Timer[]
  isLooking: boolean
}

export class Calls {
  readonly #client: Client
  readonly #subjects: Subjects
  readonly #nodes: Nodes
  readonly #maxCalls: number
  readonly #open = new Map<number, Open>()
  readonly #budget = new AnswerBudget()
  /** Subscribers that are no nodes, as far as that was seen. */
  #strangers = 0
  #isClosed = false

  constructor(client: Client, subjects: Subjects, nodes: Nodes, maxCalls: number) {
    this.#client = client
    this.#subjects = subjects
    this.#nodes = nodes
    this.#maxCalls = maxCalls
  }

  /** Somebody has come or gone: who does not answer may be a node now. */
  forgetStrangers(): void {
    this.#strangers = 0
  }

  /**
   * Calls all nodes. `each` gets every answer when it comes, and what it returns true for ends the call. Resolves when
   * all have answered, or the time is over.
   */
  call(
    type: string,
    data: unknown,
    options: CallOptions,
    each: (answer: NodeAnswer) => boolean,
  ): Promise<CallEnd> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw closed(type)
      if (options.signal?.aborted) throw aborted(type, options.signal)
      if (this.#open.size >= this.#maxCalls) {
        throw new PacketError(`${type}: ${this.#open.size} calls wait for their answers`, 'ERR_PACKET_BUSY')
      }
      const call = this.#newNumber()
      const answers = new Answers(this.#nodes.present(performance.now()))
      const onAbort = () => finish(aborted(type, options.signal as AbortSignal))
      const finish = (error?: Error) => {
        if (!this.#open.delete(call)) return
        for (const timer of open.timers) stopTimer(timer)
        open.share.close()
        options.signal?.removeEventListener('abort', onAbort)
        if (error === undefined) resolve({ answers: answers.all, silent: answers.silent })
        else reject(error)
      }
      const handleAnswer = (answer: NodeAnswer) => {
        if (each(answer)) finish()
      }
      const share = this.#budget.open()
      const open: Open = { type, answers, share, handleAnswer, finish, timers: [], isLooking: false }
      this.#open.set(call, open)
      options.signal?.addEventListener('abort', onAbort)
      open.timers.push(startTimer(() => finish(), options.timeout))
      void this.#publish(call, open, data, options.timeout)
    })
  }

  /** `size`: bytes of the message. What goes beyond is a failure of a node, and nothing of whoever is none. */
  handleAnswer({ call, node, status, value }: AnswerMessage, size: number): void {
    const open = this.#open.get(call)
    if (open === undefined || open.answers.has(node)) return
    const isNew = !open.answers.isAwaited(node)
    const isKept = open.share.take(size, isNew)
    if (isNew && !isKept) return
    this.#nodes.handleWord(performance.now(), node)
    const answer = isKept ? answerOf(open.type, node, status, value) : tooMuch(open.type, node)
    open.answers.handleAnswer(answer)
    open.handleAnswer(answer)
    this.#settle(call, open)
  }

  /** A node says that it is gone. */
  handleGone(node: string): void {
    for (const [call, open] of this.#open) {
      open.answers.handleGone(node)
      this.#settle(call, open)
    }
  }

  close(): void {
    this.#isClosed = true
    for (const { type, finish } of this.#open.values()) finish(closed(type))
  }

  /** Whoever does not get the calls cannot answer them. */
  #newNumber(): number {
    let call = randomNumber()
    while (this.#open.has(call)) call = randomNumber()
    return call
  }

  async #publish(call: number, open: Open, data: unknown, timeout: number): Promise<void> {
    const message = [call, this.#subjects.answersTo(this.#nodes.own), open.type, data]
    try {
      const { count } = await this.#client.publish(this.#subjects.calls, message, { timeout })
      if (count === 0) throw closed(open.type)
      open.answers.handleCount(count, this.#strangers)
      this.#settle(call, open)
    } catch (error) {
      const { code } = error as { code?: unknown }
      // Not confirmed in time: then the time is over here, too.
      open.finish(code === 408 ? undefined : code === 'ERR_CLOSED' ? closed(open.type) : (error as Error))
    }
  }

  #settle(call: number, open: Open): void {
    if (!this.#open.has(call)) return
    const { answers } = open
    if (answers.isComplete) open.finish()
    // As many as got it have answered, but not all that were there: some are gone. Or the rest is slow, or gone.
    else if (answers.hasCount || !answers.hasAllKnown)
      this.#look(call, open, answers.hasCount ? 0 : LOOK_INTERVAL)
    else open.timers.push(startTimer(() => this.#giveUpStrangers(call, open), STRANGER_TIME))
  }

  #giveUpStrangers(call: number, open: Open): void {
    if (!this.#open.has(call) || !open.answers.hasAllKnown) return
    this.#strangers = open.answers.countStrangers()
    this.#settle(call, open)
  }

  /** Looks, after a while, which of the silent nodes are still there. */
  #look(call: number, open: Open, delay: number): void {
    if (open.isLooking) return
    open.isLooking = true
    open.timers.push(startTimer(() => void this.#lookAtSilent(call, open), delay))
  }

  /** Never rejects. */
  async #lookAtSilent(call: number, open: Open): Promise<void> {
    const { answers } = open
    await Promise.all(answers.silent.map(node => this.#lookAt(node, answers)))
    open.isLooking = false
    if (!this.#open.has(call)) return
    if (answers.isComplete) open.finish()
    else this.#again(call, open)
  }

  #again(call: number, open: Open): void {
    if (open.answers.hasAllKnown) this.#settle(call, open)
    else this.#look(call, open, LOOK_INTERVAL)
  }

  async #lookAt(node: string, answers: Answers): Promise<void> {
    try {
      if (await this.#client.interest(this.#subjects.answersTo(node))) return
      this.#nodes.remove(node)
      answers.handleGone(node)
    } catch {
      // Not known: it stays.
    }
  }
}

function closed(type: string): PacketError {
  return new PacketError(`${type}: there is no node`, 'ERR_INTERCOM_CLOSED')
}

function aborted(type: string, signal: AbortSignal): PacketError {
  return new PacketError(`${type}: aborted`, 'ERR_PACKET_ABORTED', {
    reason: 'aborted',
    cause: signal.reason,
  })
}
