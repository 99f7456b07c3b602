// Writes the parts of a message that follow its header.
import * as commands from './commands'
import { departure } from './departures'
import { hasBeenClosed } from './errors'
import type { Marked, Marks } from './flush'

export class PartWriter {
  readonly #connection: number
  readonly #number: number
  readonly #marks: Marks
  #isOver = false

  constructor(connection: number, number: number, marks: Marks) {
    this.#connection = connection
    this.#number = number
    this.#marks = marks
  }

  write(part: number, bytes: Uint8Array, marked: Marked): void {
    if (this.#isOver) marked.fail(departure(hasBeenClosed(), this.#connection))
    else commands.write(this.#connection, this.#number, part, bytes, this.#marks.add(marked))
  }

  end(part: number, marked?: Marked): void {
    if (this.#isOver) marked?.fail(departure(hasBeenClosed(), this.#connection))
    else {
      const mark = marked === undefined ? 0 : this.#marks.add(marked)
      commands.endPart(this.#connection, this.#number, part, mark)
    }
  }

  /** Gives the message up. */
  abort(): void {
    if (this.#isOver) return
    this.#isOver = true
    commands.abort(this.#connection, this.#number)
  }

  /** The connection is closed. */
  close(): void {
    this.#isOver = true
  }
}
