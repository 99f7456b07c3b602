// One call of an intercom: who is asked, who has answered, and when that is all. No I/O.
import { PacketError } from '../errors'

export const VALUE = 0
export const UNDEFINED = 1
export const NO_TYPE = 2
export const FAILED = 3
export const BUSY = 4

/** What a node answered. */
export interface NodeAnswer {
  readonly node: string
  readonly value?: unknown
  readonly error?: PacketError
  /** It has no handler of this type. */
  readonly isTypeless: boolean
}

/** Returns what the status and value of an answer mean. */
export function answerOf(type: string, node: string, status: unknown, value: unknown): NodeAnswer {
  if (status === VALUE) return { node, value, isTypeless: false }
  if (status === UNDEFINED) return { node, isTypeless: false }
  if (status === NO_TYPE) return { node, isTypeless: true }
  const said = (typeof value === 'object' && value !== null ? value : {}) as {
    code?: unknown
    reason?: unknown
  }
  const code = status === BUSY ? 429 : typeof said.code === 'number' ? said.code : 500
  const reason =
    status === BUSY ? 'too many calls at work' : typeof said.reason === 'string' ? said.reason : 'error'
  return {
    node,
    error: new PacketError(`${type} on ${node}: ${reason}`, code, { reason, payload: value }),
    isTypeless: false,
  }
}

/** Returns what stands for an answer that was too much to be kept. */
export function tooMuch(type: string, node: string): NodeAnswer {
  const reason = 'too many bytes of answers'
  return { node, error: new PacketError(`${type} on ${node}: ${reason}`, 413, { reason }), isTypeless: false }
}

export class Answers {
  readonly #answers = new Map<string, NodeAnswer>()
  /** Those that were there when the call was made, and have not answered. */
  readonly #silent: Set<string>
  /** How many got the call; `undefined` until that is known. */
  #count: number | undefined
  /** Of them, those that are no nodes: whoever watches the subject. */
  #strangers = 0

  constructor(present: readonly string[]) {
    this.#silent = new Set(present)
  }

  /** In the order of the nodes' names. */
  get all(): NodeAnswer[] {
    return [...this.#answers.values()].sort((a, b) => (a.node < b.node ? -1 : 1))
  }

  /** Those that did not answer, in the order of their names. */
  get silent(): string[] {
    return [...this.#silent].sort()
  }

  /** It is known how many got the call; of them `strangers` are not expected to answer. */
  handleCount(count: number, strangers: number): void {
    this.#count = count
    this.#strangers = strangers
  }

  has(node: string): boolean {
    return this.#answers.has(node)
  }

  /** Whether it was there when the call was made, and has not answered. */
  isAwaited(node: string): boolean {
    return this.#silent.has(node)
  }

  /** Returns whether the answer counts: a second one of a node does not. */
  handleAnswer(answer: NodeAnswer): boolean {
    if (this.#answers.has(answer.node)) return false
    this.#silent.delete(answer.node)
    this.#answers.set(answer.node, answer)
    return true
  }

  /** A node that was asked is not there any more. */
  handleGone(node: string): void {
    if (this.#silent.delete(node) && this.#count !== undefined) this.#count -= 1
  }

  /** Nobody answers that could: whoever else got the call is no node. Returns how many those are. */
  countStrangers(): number {
    this.#strangers = Math.max(0, (this.#count ?? 0) - this.#answers.size)
    return this.#strangers
  }

  /** Whether every node that is known has answered. */
  get hasAllKnown(): boolean {
    return this.#silent.size === 0
  }

  /** Whether as many answers came as there are nodes that got the call. */
  get hasCount(): boolean {
    return this.#count !== undefined && this.#answers.size >= this.#count - this.#strangers
  }

  get isComplete(): boolean {
    return this.hasAllKnown && this.hasCount
  }
}
