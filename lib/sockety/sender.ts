// The sending half of a connection: what was sent in this tick, and what is still being written.
import { STREAM } from './body'
import * as commands from './commands'
import { departure } from './departures'
import { hasBeenClosed } from './errors'
import { pendingFiles, sendFiles } from './file-sender'
import { Flush, Marks } from './flush'
import { PartWriter } from './part-writer'
import type { Plan } from './producer'
import { OutgoingStream } from './streams'
import type { UUID } from './uuid'

/** A message on its way. */
interface Started {
  /** Header, data and files. */
  readonly sent: Flush
  readonly stream: OutgoingStream | null
}

export class Sender {
  readonly marks: Marks = new Marks()
  readonly backlog: commands.Backlog
  readonly #connection: number
  readonly #allowMismatch: boolean
  readonly #open = new Set<Part>()
  /** Of this tick. */
  #flush: Flush | undefined
  #lastNumber = 0

  constructor(connection: number, allowMismatch: boolean) {
    this.#connection = connection
    this.backlog = new commands.Backlog(connection)
    this.#allowMismatch = allowMismatch
  }

  /** Returns what is done when everything that is sent in this tick has left. */
  get flush(): Flush {
    if (this.#flush === undefined) {
      this.#flush = new Flush()
      commands.beforeFlush(this)
    }
    return this.#flush
  }

  /** Called before a batch goes. */
  putMark(): void {
    if (this.#flush === undefined) return
    commands.mark(this.#connection, this.marks.add(this.#flush))
    this.#flush = undefined
  }

  /** Sends a message to which nothing follows. Returns what is done when it has left. */
  sendWhole(plan: Plan, id: UUID, request: number): Flush {
    commands.send(this.#connection, plan, id, request, 0, false, 0)
    return this.flush
  }

  /** Starts a message. `request`: who waits for its answer, or 0; `onFailure`: a file cannot be sent, and the message was given up. */
  start(
    plan: Plan,
    id: UUID,
    request: number,
    hasOpenStream: boolean,
    onFailure?: (error: Error) => void,
  ): Started {
    const { files } = plan
    const pending = files === undefined ? [] : pendingFiles(files)
    if (pending.length === 0 && !hasOpenStream)
      return { sent: this.sendWhole(plan, id, request), stream: null }
    this.#lastNumber = (this.#lastNumber % 0xfffffffe) + 1
    const number = this.#lastNumber
    const sent = pending.length === 0 ? this.flush : new Flush()
    const mark = pending.length === 0 ? 0 : this.marks.add(sent)
    commands.send(this.#connection, plan, id, request, number, hasOpenStream, mark)
    const part = new Part(new PartWriter(this.#connection, number, this.marks), this.#open, hasOpenStream)
    if (pending.length > 0) {
      sendFiles(pending, part.writer, this.#allowMismatch).then(
        () => part.filesDone(),
        error => {
          sent.fail(error)
          onFailure?.(error)
          part.abort(error)
        },
      )
    }
    return { sent, stream: part.stream }
  }

  /** Ends everything: the connection is closed. */
  close(cause: Error | undefined): void {
    const error = departure(hasBeenClosed(cause), this.#connection)
    for (const part of this.#open) part.close(error)
    this.#open.clear()
    this.#flush?.fail(error)
    this.#flush = undefined
    this.marks.failAll(error)
  }
}

/** What is still written of one message. */
class Part {
  readonly writer: PartWriter
  readonly stream: OutgoingStream | null
  readonly #open: Set<Part>

  constructor(writer: PartWriter, open: Set<Part>, hasStream: boolean) {
    this.writer = writer
    this.#open = open
    open.add(this)
    this.stream = hasStream
      ? new OutgoingStream({
          write: (bytes, marked) => writer.write(STREAM, bytes, marked),
          end: marked => {
            open.delete(this)
            writer.end(STREAM, marked)
          },
          abort: () => {
            open.delete(this)
            writer.abort()
          },
        })
      : null
  }

  filesDone(): void {
    if (this.stream === null) this.#open.delete(this)
  }

  abort(error: Error): void {
    this.#open.delete(this)
    this.writer.abort()
    this.stream?.destroy(error)
  }

  close(error: Error): void {
    this.writer.close()
    this.stream?.destroy(error)
  }
}
