// Requests to the members of rooms. Each is asked once, by its own server, which tells the one that wants to know.
import type { RequestManyOptions, Results } from '../../index'
import { Incoming } from '../engine/event-reader'
import { readCode, THROWN } from '../messaging/error-headers'
import { Message, type MessageData, type Responder } from '../messaging/message'
import { REQUEST_MANY_SHAPE, timeouts } from '../messaging/options'
import { FabricError } from '../values/errors'
import { abortFailure, type Failure } from '../values/failure'
import { checkOptions } from '../values/option-checks'
import { Buffer } from '../values/platform'
import type { RoomHost, RoomSocket } from './host'
import { envelopeOf, jsonLength, type MemberAnswer, type PeerMessage } from './messages'
import type { Peer } from './peers'
import { Replies } from './replies'

/** The members of this server in a request of another one, and whoever wants their answers. */
interface Errand {
  readonly number: number
  readonly timeout: number
  readonly data: MessageData
  readonly targets: readonly RoomSocket[]
}

/** How a message to another server leaves. */
type Say = (peer: Peer, message: PeerMessage) => void

/** Bytes of answers in one message, unless one answer alone has more. */
const BATCH = 256 * 1024
/** Answers within this time leave together, in ms. */
const COALESCE = 5
const HERE = ''

export class Asking {
  readonly #host: RoomHost
  readonly #say: Say
  /** Requests of this server, by number. */
  readonly #open = new Map<number, Replies>()
  /** What other servers have asked. */
  readonly #errands = new Map<Peer, Map<number, AbortController>>()

  constructor(host: RoomHost, say: Say) {
    this.#host = host
    this.#say = say
  }

  /** Asks members here, and has `peers`, which have been asked the same, tell what theirs answer. */
  ask(
    { number, data, targets }: Omit<Errand, 'timeout'>,
    options: RequestManyOptions | undefined,
    peers: readonly Peer[],
  ): Results<Message | FabricError> {
    const timeout = timeoutOf(options)
    const controller = new AbortController()
    const replies = new Replies(
      this.#host,
      [HERE, ...peers.map(({ id }) => id)],
      { ...options, timeout },
      () => {
        controller.abort()
        this.#open.delete(number)
        for (const peer of peers) if (peer.link.state !== 'closed') this.#say(peer, { kind: 'unask', number })
      },
    )
    this.#open.set(number, replies)
    const asked = askAll({ number, data, targets, timeout }, controller.signal, reply => replies.add(reply))
    void asked.then(() => replies.handleServer(HERE))
    return resultsOf(replies)
  }

  /** In the place of asking: the signal is aborted already. */
  refuse(signal: AbortSignal): Results<Message | FabricError> {
    const replies = new Replies(this.#host, [], { timeout: 0 }, () => {})
    replies.stop(abortFailure(signal))
    return resultsOf(replies)
  }

  /** Asks members here for another server. */
  async handleAsk(peer: Peer, errand: Errand): Promise<void> {
    const { number } = errand
    const controller = new AbortController()
    let errands = this.#errands.get(peer)
    if (errands === undefined) {
      errands = new Map()
      this.#errands.set(peer, errands)
    }
    errands.set(number, controller)
    const post = new Post(this.#host, peer, this.#say, number)
    await askAll(errand, controller.signal, reply => post.add(answerOf(reply)))
    if (!controller.signal.aborted) await post.finish()
    errands.delete(number)
    if (errands.size === 0) this.#errands.delete(peer)
  }

  handleUnask(peer: Peer, number: number): void {
    this.#errands.get(peer)?.get(number)?.abort()
  }

  /** A server tells what its members have answered. */
  handleAnswers(peer: Peer, number: number, answers: readonly MemberAnswer[], isLast: boolean): void {
    const replies = this.#open.get(number)
    for (const answer of answers) replies?.add(replyOf(answer))
    if (isLast) replies?.handleServer(peer.id)
  }

  handleLinkClosed(peer: Peer): void {
    for (const controller of this.#errands.get(peer)?.values() ?? []) controller.abort()
    this.#errands.delete(peer)
    const text = `request: server '${peer.id}' was lost with its members`
    for (const replies of [...this.#open.values()])
      replies.handleServer(peer.id, new FabricError(text, 'ERR_SOCKET_LOST', { ids: [peer.id] }))
  }

  close(reason: Failure | undefined): void {
    for (const replies of [...this.#open.values()]) replies.stop(reason)
    for (const errands of this.#errands.values()) for (const errand of errands.values()) errand.abort()
  }
}

export function checkAsk(options: RequestManyOptions | undefined): void {
  checkOptions('request', options, REQUEST_MANY_SHAPE)
}

export function timeoutOf(options: RequestManyOptions | undefined): number {
  return options?.timeout ?? timeouts.request
}

function resultsOf(replies: Replies): Results<Message | FabricError> {
  return Object.assign(Promise.resolve(replies), {
    next: () => replies.next(),
    return: () => replies.return(),
    [Symbol.asyncIterator]: () => replies,
  })
}

/** Asks each of them. Never rejects. */
async function askAll(
  { data, targets, timeout }: Errand,
  signal: AbortSignal,
  tell: (reply: Message | FabricError) => void,
): Promise<void> {
  const asked = targets.map(async socket => {
    let reply: Message | FabricError
    try {
      reply = await socket.request(data, { timeout, signal })
    } catch (error) {
      reply = errorOf(socket.id, error as FabricError)
    }
    if (!signal.aborted) tell(reply)
  })
  await Promise.all(asked)
}

function errorOf(id: string, { message, code, data, handled, cause }: FabricError): FabricError {
  const details = handled === false ? { data, handled } : { data }
  return new FabricError(message, code ?? THROWN, { ids: [id], cause, ...details })
}

/** As it travels. */
function answerOf(reply: Message | FabricError): MemberAnswer {
  if (!(reply instanceof FabricError))
    return [reply.subject, reply.raw, reply.encoding, reply.headers ?? null]
  const { ids, message, code, data } = reply
  return [ids?.[0] ?? '', NOTHING, ERROR, { message, code, data }]
}

function replyOf([from, raw, encoding, headers]: MemberAnswer): Message | FabricError {
  if (encoding === ERROR) {
    const { message, code, data } = (headers ?? {}) as { message?: unknown; code?: unknown; data?: unknown }
    return new FabricError(String(message), readCode(code) ?? THROWN, { ids: [from], data })
  }
  const incoming = new Incoming()
  incoming.encoding = encoding
  incoming.source = Buffer.from(raw.buffer as ArrayBuffer, raw.byteOffset, raw.length)
  incoming.end = raw.length
  return new Message(NOBODY, from, headers === null ? null : JSON.stringify(headers), null, incoming)
}

/** In the place of an answer that cannot be told to another server. */
function tooLarge(from: string, size: number, limit: number): MemberAnswer {
  const text = `the answer has ${size} bytes with what stands beside it, more than ${limit} (maxMessageBytes)`
  return answerOf(new FabricError(text, 'ERR_TOO_LARGE', { ids: [from] }))
}

const NOTHING = new Uint8Array(0)
/** In the place of the encoding: it is no answer. */
const ERROR = 255
/** Nobody waits for a reply to an answer. */
const NOBODY = { answersInKind: false } as Responder

/** Sends answers to the server that wants them: many in one message, and no faster than that reads. */
class Post {
  readonly #host: RoomHost
  readonly #peer: Peer
  readonly #say: Say
  readonly #number: number
  #answers: MemberAnswer[] = []
  #isLast = false
  #isTold = false
  #sending: Promise<void> | undefined

  constructor(host: RoomHost, peer: Peer, say: Say, number: number) {
    this.#host = host
    this.#peer = peer
    this.#say = say
    this.#number = number
  }

  add(answer: MemberAnswer): void {
    const [from, raw, , headers] = answer
    const size = raw.length + envelopeOf({ rooms: [from], except: [] }, jsonLength(headers))
    const limit = this.#host.maxMessageBytes
    this.#answers.push(size <= limit ? answer : tooLarge(from, size, limit))
    void this.#send()
  }

  /** Resolves when all are sent, or nobody is there to be sent anything. */
  async finish(): Promise<void> {
    this.#isLast = true
    while (!this.#isTold) await this.#send()
  }

  /** Never rejects. */
  #send(): Promise<void> {
    this.#sending ??= this.#sendAll()
      .catch(() => {
        // The link is closed.
        this.#isTold = true
      })
      .finally(() => {
        this.#sending = undefined
      })
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    await new Promise<void>(resolve => this.#host.after(COALESCE, resolve))
    do {
      await this.#peer.queue.waitUntilWritable()
      const answers = this.#takeBatch()
      this.#isTold = this.#isLast && this.#answers.length === 0
      this.#say(this.#peer, { kind: 'answers', number: this.#number, answers, isLast: this.#isTold })
    } while (this.#answers.length > 0)
  }

  #takeBatch(): MemberAnswer[] {
    const most = Math.min(BATCH, this.#host.maxMessageBytes / 2)
    let [count, bytes] = [0, 0]
    for (const [, raw] of this.#answers) {
      bytes += raw.length
      if (count > 0 && bytes > most) break
      count += 1
    }
    return this.#answers.splice(0, count)
  }
}
