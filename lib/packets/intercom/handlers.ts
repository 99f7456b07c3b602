// The handlers of a node: what it answers to the calls of all nodes, its own included. Every call is answered.
import type { Agreed } from '../agreed'
import { messageOf, PacketError, readable, ValidationError } from '../errors'
import { BUSY, FAILED, NO_TYPE, UNDEFINED, VALUE } from './answers'
import type { CallMessage } from './messages'

export type Status = readonly [status: number, value?: unknown]

export interface HandlerContext {
  /** Who called. */
  readonly node: string
  readonly server: object | undefined
  readonly signal: AbortSignal
}

export type IntercomHandler = (data: Agreed, context: HandlerContext) => unknown

export class Handlers {
  readonly #handlers = new Map<string, IntercomHandler>()
  readonly #maxCalls: number
  readonly #ended = new AbortController()
  #atWork = 0
  /** The servers of this node. */
  readonly servers = new Set<object>()

  constructor(maxCalls: number) {
    this.#maxCalls = maxCalls
  }

  /** Returns what takes the handler out again. @throws {PacketError} `"ERR_INTERCOM_TYPE"` */
  add(type: string, handler: unknown): () => void {
    if (typeof type !== 'string' || typeof handler !== 'function') {
      throw new PacketError('a handler is a function of a type', 'ERR_INVALID_ARG_TYPE')
    }
    if (this.#handlers.has(type)) throw new PacketError(`${type} has a handler`, 'ERR_INTERCOM_TYPE')
    this.#handlers.set(type, handler as IntercomHandler)
    return () => {
      if (this.#handlers.get(type) === handler) this.#handlers.delete(type)
    }
  }

  async answer({ caller, type, data }: CallMessage): Promise<Status> {
    const handler = this.#handlers.get(type)
    if (handler === undefined) return [NO_TYPE]
    if (this.#atWork >= this.#maxCalls) return [BUSY]
    this.#atWork += 1
    try {
      const [server] = this.servers
      const value = await handler(data, { node: caller, server, signal: this.#ended.signal })
      return value === undefined ? [UNDEFINED] : [VALUE, value]
    } catch (error) {
      return failed(error)
    } finally {
      this.#atWork -= 1
    }
  }

  close(): void {
    this.#ended.abort()
  }
}

/** Returns the answer that tells of what was thrown. */
export function failed(thrown: unknown): Status {
  return [FAILED, failureOf(thrown)]
}

/** Nodes trust each other: unlike a client's, a node's error says what it is. */
function failureOf(thrown: unknown): { code: number; reason: string } {
  const error = readable(thrown)
  if (error instanceof ValidationError && error.payload !== undefined) return error.payload
  return { code: 500, reason: messageOf(error) }
}
