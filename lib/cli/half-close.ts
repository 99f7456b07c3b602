// Half-closed sockets between two ends of this command: one says that its input has ended, and still reads. A socket
// itself ends in both directions at once.
import type { ConatSocketClient, Message, ServerSocket } from '../index'

export type AnySocket = ConatSocketClient | ServerSocket

/** The header of the request that says it. It is a request, and no message, so that no program has to expect it. */
const END = 'selvedge-end'
/** The answer of this command: a program that answers all requests does not answer this. */
const NOTED = 'selvedge: noted'
/** The header of that answer where a program reads, which may fail: its end is waited for, however short `idle` is. */
const PROGRAM = 'selvedge-program'
/** How long an end that waits for nothing else waits for that answer, in ms: programs do not give it. */
const MAX_NOTE = 1000
/** How often in `idle` it is looked whether anything has moved. */
const LOOKS = 8

/** Answers if a request says that the other end's input has ended; returns whether it does. `isProgram`: to `--exec`. */
export function answersEnd(request: Message, isProgram = false): boolean {
  const { [END]: isEnd } = (request.headers ?? {}) as Record<string, unknown>
  if (isEnd !== true) return false
  request.respondSync(NOTED, { headers: { [PROGRAM]: isProgram } })
  return true
}

/** Resolves when the other end says that its input has ended. */
export function peerInputEnd(socket: AnySocket): Promise<void> {
  return new Promise(resolve => {
    socket.on('request', request => {
      if (answersEnd(request)) resolve()
    })
  })
}

export interface Waiting {
  /** Resolves when there is nothing to wait for any more. */
  readonly over: Promise<unknown>
  /** How long the other end may send nothing and acknowledge nothing, in ms; 0 is not at all. */
  readonly idle: number
  /** Whether what has come cannot be passed on now. */
  readonly isStuck: () => boolean
}

/**
 * Says that the input has ended. Resolves when it is over, or when nothing has moved for too long: not, if the other end
 * is one of this command, which closes when it has answered. Where nothing is waited for, a program still is.
 */
export async function lastAnswers(socket: AnySocket, waiting: Waiting): Promise<void> {
  const asking = new AbortController()
  const { signal } = asking
  const drained = socket.drain({ signal }).then(
    () => true,
    () => false,
  )
  const asked = drained.then(isThere => (isThere ? askNote(socket, signal) : 'none'))
  const over = waiting.over.then((): Note => 'none')
  const patience = waiting.idle > 0 ? new Quiet(socket, waiting) : new Patience(drained)
  try {
    // Who does not know what the end of an input is may go on to answer.
    const isNoted = asked.then(note =>
      note === 'none' && waiting.idle > 0 ? new Promise<Note>(() => {}) : note,
    )
    const note = await Promise.race([over, patience.ended.then((): Note => 'none'), isNoted])
    if (note === 'program' || (note === 'command' && waiting.idle > 0)) await over
  } finally {
    patience.stop()
    asking.abort()
    await asked
  }
}

/** Whether the other end is one of this command, and what reads there. */
type Note = 'none' | 'command' | 'program'

async function askNote(socket: AnySocket, signal: AbortSignal): Promise<Note> {
  try {
    const timeout = 2 ** 31 - 1
    const { data, headers } = await socket.request(null, { headers: { [END]: true }, timeout, signal })
    if (data !== NOTED) return 'none'
    return (headers as Record<string, unknown> | null)?.[PROGRAM] === true ? 'program' : 'command'
  } catch {
    return 'none'
  }
}

/** Ends some time after all has been delivered. */
class Patience {
  readonly ended: Promise<void>
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(drained: Promise<unknown>) {
    this.ended = drained.then(
      () =>
        new Promise(resolve => {
          if (!this.#isStopped) this.#timer = setTimeout(resolve, MAX_NOTE)
        }),
    )
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }
}

/** Notes when a socket has received nothing and nothing of it was acknowledged for so long. */
class Quiet {
  readonly ended: Promise<void>
  readonly #timer: NodeJS.Timeout
  #moved = -1
  #looks = 0

  constructor(socket: AnySocket, { idle, isStuck }: Waiting) {
    let end!: () => void
    this.ended = new Promise(resolve => (end = resolve))
    this.#timer = setInterval(() => {
      const { received, acknowledged } = socket.stats
      const moved = received + acknowledged
      this.#looks = moved === this.#moved && !isStuck() ? this.#looks + 1 : 0
      this.#moved = moved
      if (this.#looks >= LOOKS) end()
    }, idle / LOOKS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
