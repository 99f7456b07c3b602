// How much of answers the open calls of a node keep together: anybody who may publish to it can answer, as often as
// there are names. No I/O.

/** Bytes of answers, as they travel: the largest message, or many others. */
const MAX_BYTES = 256 * 1024 * 1024
/** Of them, those of nodes that had not been heard of when the call was made. */
const MAX_NEW_BYTES = 16 * 1024 * 1024
/** Answers of such nodes. */
const MAX_NEW_ANSWERS = 4096
/** What an answer is counted for beside its bytes. */
const ANSWER_BYTES = 256

export class AnswerBudget {
  #bytes = 0
  #newBytes = 0
  #newAnswers = 0

  /** Returns what a call has of it. */
  open(): AnswerShare {
    return new AnswerShare(this)
  }

  /** Returns whether there was room. */
  take(bytes: number, isNew: boolean): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > MAX_BYTES) return false
    if (isNew) {
      if (this.#newBytes + bytes > MAX_NEW_BYTES || this.#newAnswers >= MAX_NEW_ANSWERS) return false
      this.#newBytes += bytes
      this.#newAnswers += 1
    }
    this.#bytes += bytes
    return true
  }

  giveBack(bytes: number, newBytes: number, newAnswers: number): void {
    this.#bytes -= bytes
    this.#newBytes -= newBytes
    this.#newAnswers -= newAnswers
  }
}

/** What one call has. */
export class AnswerShare {
  readonly #budget: AnswerBudget
  #bytes = 0
  #newBytes = 0
  #newAnswers = 0

  constructor(budget: AnswerBudget) {
    this.#budget = budget
  }

  /** Returns whether an answer of this size is kept; `isNew`: of a node that was not there. */
  take(size: number, isNew: boolean): boolean {
    const bytes = size + ANSWER_BYTES
    if (!this.#budget.take(bytes, isNew)) return false
    this.#bytes += bytes
    if (isNew) {
      this.#newBytes += bytes
      this.#newAnswers += 1
    }
    return true
  }

  /** The call is over. */
  close(): void {
    this.#budget.giveBack(this.#bytes, this.#newBytes, this.#newAnswers)
    this.#bytes = 0
    this.#newBytes = 0
    this.#newAnswers = 0
  }
}
