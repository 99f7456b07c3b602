// Whom something is written to: rooms, without exceptions, here or everywhere. Each step makes another one.
import type { Headers, RequestManyOptions, Results, RoomMember, SendOptions, WriteOptions } from '../../index'
import { settledWithin } from '../async/bounds'
import { errorHeaders } from '../messaging/error-headers'
import type { Message } from '../messaging/message'
import { FabricError, invalidType } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import type { CloseReason } from './messages'
import { MAX_EXCEPTIONS, roomsIn } from './options'
import type { Audience, Outcome, Rooms } from './rooms'

/** How `write` and `send` read what stands beside the data. */
export interface ReadsOptions {
  write(second: Headers | WriteOptions | null | undefined): WriteOptions | undefined
  send(options: SendOptions | undefined): SendOptions | undefined
}

export class Broadcast {
  readonly #rooms: Rooms
  readonly #reads: ReadsOptions
  readonly #audience: Audience
  readonly #isVolatile: boolean

  constructor(rooms: Rooms, reads: ReadsOptions, audience: Audience, isVolatile = false) {
    this.#rooms = rooms
    this.#reads = reads
    this.#audience = audience
    this.#isVolatile = isVolatile
  }

  /** @internal */
  get audience(): Audience {
    return this.#audience
  }

  to(names: string | readonly string[]): Broadcast {
    return this.#with({ rooms: [...new Set([...this.#audience.rooms, ...roomsIn(names)])] })
  }

  except(who: string | { readonly id: string } | readonly (string | { readonly id: string })[]): Broadcast {
    const list = Array.isArray(who) ? who : [who]
    const except = [...new Set([...this.#audience.except, ...list.map(idOf)])]
    if (except.length > MAX_EXCEPTIONS) {
      throw new FabricError(`a broadcast has at most ${MAX_EXCEPTIONS} exceptions`, 'ERR_ROOM_LIMIT')
    }
    return this.#with({ except })
  }

  get local(): Broadcast {
    return this.#with({ isLocal: true })
  }

  get volatile(): Broadcast {
    return new Broadcast(this.#rooms, this.#reads, this.#audience, true)
  }

  write(data: unknown, second?: Headers | WriteOptions | null): number {
    const options = this.#reads.write(second)
    return this.#rooms.write(
      this.#audience,
      data,
      this.#isVolatile ? { ...options, volatile: true } : options,
    )
  }

  async send(data: unknown, given?: SendOptions): Promise<Outcome> {
    const { timeout, signal, ...options } = this.#reads.send(given) ?? {}
    const sent = this.#rooms.send(this.#audience, data, options)
    const what = 'not all members are known to have it, and they may still get it'
    const outcome = await settledWithin(sent, { timeout, signal }, what, () => this.#rooms.obstacle)
    if (outcome instanceof Failure) throw errorFrom(outcome)
    return outcome
  }

  members(): RoomMember[] {
    return this.#rooms.members(this.#audience)
  }

  get size(): number {
    return this.members().length
  }

  /** Asks each of them: the answers, and why there are none, as they come. */
  request(data?: unknown, options?: RequestManyOptions): Results<Message | FabricError> {
    return this.#rooms.request(this.#audience, data, options)
  }

  /** Closes the sockets. Their clients are told why, if that is given. */
  close(reason?: Error): void {
    if (reason === undefined) this.#rooms.closeAll(this.#audience)
    else if (reason instanceof Error) this.#rooms.closeAll(this.#audience, closeReason(reason))
    else throw invalidType('the reason', 'an Error', reason)
  }

  #with(change: Partial<Audience>): Broadcast {
    return new Broadcast(this.#rooms, this.#reads, { ...this.#audience, ...change }, this.#isVolatile)
  }
}

function idOf(who: unknown): string {
  const id = typeof who === 'string' ? who : (who as { id?: unknown } | null | undefined)?.id
  if (typeof id !== 'string') throw invalidType('the exception', 'an id, a socket or a list of them', who)
  return id
}

/** Text and code, as they travel. */
function closeReason(error: Error): CloseReason {
  const { error: message, code = 'ERR_SOCKET_CLOSED' } = errorHeaders(error)
  return { message: message.slice(0, MAX_REASON), code }
}

/** Characters of a reason: it travels in headers. */
const MAX_REASON = 4096
