// Half-closed sockets between two ends of this command: one says that its input has ended, and still reads. A socket
// itself ends in both directions at once.
import type { ConatSocketClient, Message, ServerSocket } from '../index'

export type AnySocket = ConatSocketClient | ServerSocket

/** The header of the request that says it. It is a request, and no message, so that no program has to expect it. */
const END = 'selvedge-end'
/** The answer of this command: a program that answers all requests does not answer this. */
const NOTED = 'selvedge: noted'
/** How often in `idle` it is looked whether anything has moved. */
const LOOKS = 8

/** Answers if a request says that the other end's input has ended; returns whether it does. */
export function answersEnd(request: Message): boolean {
  const { [END]: isEnd } = (request.headers ?? {}) as Record<string, unknown>
  if (isEnd !== true) return false
  request.respondSync(NOTED)
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
  /** How long the other end may send nothing and acknowledge nothing, in ms. */
  readonly idle: number
  /** Whether what has come cannot be passed on now. */
  readonly isStuck: () => boolean
}

/**
 * Says that the input has ended. Resolves when it is over, or when nothing has moved for too long: not, if the other end
 * is one of this command, which closes when it has answered.
 */
export async function lastAnswers(socket: AnySocket, { over, idle, isStuck }: Waiting): Promise<void> {
  if (idle === 0) return
  const asking = new AbortController()
  const quiet = new Quiet(socket, idle, isStuck)
  const asked = say(socket, asking.signal)
  const isNoted = asked.then(noted => noted || new Promise<boolean>(() => {}))
  try {
    const noted = await Promise.race([over.then(() => false), quiet.ended.then(() => false), isNoted])
    if (noted) await over
  } finally {
    quiet.stop()
    asking.abort()
    await asked
  }
}

/** Resolves with whether the other end is one of this command. */
async function say(socket: AnySocket, signal: AbortSignal): Promise<boolean> {
  try {
    await socket.drain({ signal })
    const { data } = await socket.request(null, { headers: { [END]: true }, timeout: 2 ** 31 - 1, signal })
    return data === NOTED
  } catch {
    return false
  }
}

/** Notes when a socket has received nothing and nothing of it was acknowledged for so long. */
class Quiet {
  readonly ended: Promise<void>
  readonly #timer: NodeJS.Timeout
  #moved = -1
  #looks = 0

  constructor(socket: AnySocket, idle: number, isStuck: () => boolean) {
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
