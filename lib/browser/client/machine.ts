// What a client asks of the fabric, and what comes of it: subscriptions, publishes, requests, watches and sockets over one
// session. A pure machine.
import { Failure } from '../../values/failure'
import type { Fabric, MachineSettings, SocketSink, SubscriptionHandlers } from '../socket/fabric'
import { SocketMachine } from '../socket/machine'
import { lost, withReason } from '../socket/reasons'
import type { Frame } from '../wire/frame-reader'
import { bytesOf, type Publication } from '../wire/publication'
import * as failures from './failures'
import { Reassembly } from './reassembly'
import { Session, type SessionHost, type SessionSettings } from './session'
import { type SubscriptionClass, Subscriptions } from './subscriptions'

/** What a client tells its application, and needs of the world. */
export interface ClientHost {
  now(): number
  random(): number
  randomTag(): number
  /** A text that nobody can guess: letters and digits. */
  randomId(): string
  dial(): void
  hangUp(): void
  send(frame: Uint8Array): void
  /** Whether so much waits to be sent that more has to wait. */
  readonly isCongested: boolean
  /** Something has changed: `flush` is to be called soon. */
  wake(): void
  emit(event: ClientEvent): void
}

export type ClientEvent =
  | { readonly name: 'connected' | 'inbox' }
  | {
      readonly name: 'disconnected' | 'signInRefused' | 'connectFailed'
      readonly reason: Failure | undefined
    }
  | { readonly name: 'info'; readonly info: Record<string, unknown> }
  | {
      readonly name: 'permission'
      readonly message: string
      readonly subject: string
      readonly type: 'pub' | 'sub'
    }

export interface ClientSettings extends SessionSettings {
  readonly inboxPrefix: string
  readonly offlineTimeout: number
}

/** What is asked: a confirmation, an answer, or whether anybody listens. */
export interface Question {
  readonly what: 'publish' | 'request' | 'interest'
  readonly message: Publication
  readonly timeout: number
  readonly waitForInterest: boolean
  /** The count of a publish, an answer, or whether anybody listens. */
  readonly done: (outcome: Outcome) => void
}

export type Outcome = number | boolean | Publication | Failure

interface Pending extends Question {
  readonly id: number
  /** The last token of the subject that the answer comes to. */
  readonly token: string
  /** Whether it has left. */
  hasLeft: boolean
  /** Whether it waits for subscribers, and whether it will: once. */
  isWaiting: boolean
  waitForInterest: boolean
  deadline: number
}

const MAX_OFFLINE_BYTES = 64 * 1024 * 1024
/** Bytes of a chunk beside those of the payload. */
const CHUNK_OVERHEAD = 1024
const NEVER = Number.POSITIVE_INFINITY

export class ClientMachine implements Fabric, SessionHost {
  readonly session: Session
  readonly #host: ClientHost
  readonly #settings: ClientSettings
  readonly subscriptions = new Subscriptions()
  readonly #reassembly = new Reassembly()
  readonly inbox: string
  readonly #inboxQueue: string
  readonly #pending = new Map<number, Pending>()
  readonly #byToken = new Map<string, Pending>()
  #offlineBytes = 0
  #nextQuestion = 1
  readonly #acks = new Map<number, (reply: Frame) => void>()
  #nextAck = 0
  readonly #watches = new Map<number, (what: number, crowd: number) => void>()
  #nextWatch = 1
  readonly sockets = new Set<SocketMachine>()
  readonly #dirty = new Set<SocketMachine>()
  /** Whether the inbox and every subscription are in place. */
  isUp = false
  #chunkSize = 1024 * 1024
  #watchesEnds = false
  /** Bytes of the largest message that the broker takes. */
  maxMessage = NEVER
  #expected = NEVER
  #stranding: Failure | undefined

  constructor(host: ClientHost, settings: ClientSettings) {
    this.#host = host
    this.#settings = settings
    this.inbox = `${settings.inboxPrefix}.${host.randomId()}`
    this.#inboxQueue = host.randomId()
    this.session = new Session(this, settings)
  }

  // ---- the world, for session and sockets

  now(): number {
    return this.#host.now()
  }

  random(): number {
    return this.#host.random()
  }

  randomTag(): number {
    return this.#host.randomTag()
  }

  dial(): void {
    this.#host.dial()
  }

  hangUp(): void {
    this.#host.hangUp()
  }

  send(frame: Uint8Array): void {
    this.#host.send(frame)
  }

  // ---- what is asked

  /** Publishes, if there is a broker. Returns whether. */
  publish(message: Publication): boolean {
    if (!this.session.isUp) return false
    this.#publish(message, undefined)
    return true
  }

  #publish(message: Publication, confirm: { id: number; isRequest: boolean } | undefined): void {
    const { writer } = this.session
    const frames = writer.publish(message, confirm, this.#chunkSize, () => this.#host.randomId())
    for (const frame of frames) this.#host.send(frame)
  }

  probe(message: Publication, onNobody: () => void): void {
    const id = this.#expect(reply => {
      if (reply.kind === 'published' && reply.count === 0) onNobody()
    })
    this.#publish(message, { id, isRequest: true })
  }

  /** Asks. `done` is called once, unless what this returns is called. */
  question(question: Question): () => void {
    const id = this.#nextQuestion++
    const token = `${id}-${this.#host.randomId()}`
    const deadline =
      this.isUp || this.#settings.offlineTimeout <= 0 ? NEVER : this.now() + this.#settings.offlineTimeout
    const pending: Pending = { ...question, id, token, hasLeft: false, isWaiting: false, deadline }
    this.#pending.set(id, pending)
    if (this.isUp) this.#ask(pending)
    else {
      this.#offlineBytes += sizeOf(pending)
      if (this.#offlineBytes > MAX_OFFLINE_BYTES) this.#settle(pending, failures.full(MAX_OFFLINE_BYTES))
    }
    this.#host.wake()
    return () => this.#forget(pending)
  }

  ask(
    message: Publication,
    { timeout, waitForInterest }: { timeout: number; waitForInterest: boolean },
    done: (outcome: Publication | Failure) => void,
  ): () => void {
    return this.question({
      what: 'request',
      message,
      timeout,
      waitForInterest,
      done: outcome => done(outcome as Publication | Failure),
    })
  }

  lookUp(subject: string, done: (isThere: boolean) => void): void {
    const id = this.#expect(reply => {
      if (reply.kind === 'control') done(reply.operation.interest === true)
    })
    this.#control({ op: 'wait-for-interest', ack: id, subject, timeout: 0 })
  }

  subscribe(pattern: string, handlers: SubscriptionHandlers): () => void {
    const made = this.subscribeIn(pattern, undefined, 'direct', handlers)
    if (made instanceof Failure) return () => {}
    return made.unsubscribe
  }

  subscribeIn(
    pattern: string,
    queue: string | undefined,
    kind: SubscriptionClass,
    handlers: SubscriptionHandlers,
  ): { queue: string; unsubscribe: () => void } | Failure {
    const added = this.subscriptions.add(pattern, queue, () => this.#host.randomId(), kind, handlers)
    if (added instanceof Failure) return added
    this.#host.wake()
    if (added.isConfirmed) handlers.handleConfirmed()
    if (added.entry !== undefined && this.session.isUp) this.#subscribe([added.entry], false)
    return {
      queue: added.queue,
      unsubscribe: () => {
        if (!this.subscriptions.remove(pattern, handlers) || !this.session.isUp) return
        const ack = this.#expect(() => {})
        this.#control({ op: 'unsubscribe', ack, patterns: [pattern], list: true })
      },
    }
  }

  #subscribe(entries: readonly (readonly unknown[])[], isSync: boolean): void {
    const patterns = entries.map(([pattern]) => pattern as string)
    const ack = this.#expect(reply => {
      if (reply.kind !== 'control') return
      const { op, statuses, error } = reply.operation
      const list = Array.isArray(statuses) ? statuses : patterns.map(() => ({ refused: error }))
      this.#handleSubscribed(
        patterns,
        op === 'subscribed' ? list : patterns.map(() => ({ refused: error })),
        isSync,
      )
    })
    this.#control({ op: 'subscribe', ack, subscriptions: entries, list: true })
  }

  #handleSubscribed(patterns: readonly string[], statuses: readonly unknown[], isSync: boolean): void {
    if (isSync) {
      const [inbox] = statuses as [{ refused?: unknown } | undefined]
      if (inbox?.refused !== undefined) {
        const { code, message } = failures.refusal(inbox.refused)
        const text = `it may not subscribe to its inbox '${this.inbox}.*': ${message}`
        const failure = new Failure(code, text)
        this.#failOffline(failure)
        this.session.lose(failure)
        return
      }
    }
    this.subscriptions.handleStatuses(patterns, statuses)
    if (isSync) this.#handleUp()
  }

  watch(subject: string, handle: (what: number, crowd: number) => void): () => void {
    if (!this.session.isUp || !this.#watchesEnds) return () => {}
    const id = this.#nextWatch++
    this.#watches.set(id, handle)
    this.#host.send(this.session.writer.watch([{ id, subject }]))
    return () => {
      if (this.#watches.delete(id) && this.session.isUp) this.#host.send(this.session.writer.watch([{ id }]))
    }
  }

  openSocket(sink: SocketSink, settings: MachineSettings): SocketMachine {
    const socket = new SocketMachine(this, sink, settings)
    this.sockets.add(socket)
    return socket
  }

  /** The machine has something to say: its turn comes with the next `flush`. */
  touch(socket: SocketMachine): void {
    this.#dirty.add(socket)
    this.#host.wake()
  }

  #control(operation: object): void {
    this.#host.send(this.session.writer.control(operation))
  }

  #expect(handle: (reply: Frame) => void): number {
    const id = this.#nextAck++
    this.#acks.set(id, handle)
    return id
  }

  // ---- questions

  #ask(pending: Pending): void {
    pending.hasLeft = true
    pending.deadline = pending.timeout > 0 ? this.now() + pending.timeout : NEVER
    if (pending.what === 'interest') this.#awaitInterest(pending)
    else this.#sendQuestion(pending)
  }

  #sendQuestion(pending: Pending): void {
    const isRequest = pending.what === 'request'
    const id = this.#expect(reply => this.#handleReply(pending, reply))
    if (isRequest) this.#byToken.set(pending.token, pending)
    const reply = isRequest ? `${this.inbox}.${pending.token}` : pending.message.reply
    this.#publish({ ...pending.message, reply }, { id, isRequest: isRequest && this.#watchesEnds })
  }

  #awaitInterest(pending: Pending): void {
    pending.isWaiting = true
    const ack = this.#expect(reply => this.#handleReply(pending, reply))
    const timeout =
      pending.timeout > 0 ? Math.min(Math.max(0, Math.ceil(pending.deadline - this.now())), 3_600_000) : 0
    this.#control({ op: 'wait-for-interest', ack, subject: pending.message.subject, timeout })
  }

  #handleReply(pending: Pending, reply: Frame): void {
    if (!this.#pending.has(pending.id)) return
    const { what, message } = pending
    if (reply.kind === 'published') {
      if (reply.count > 0) {
        if (what === 'publish') this.#settle(pending, reply.count)
      } else if (pending.waitForInterest && !pending.isWaiting) this.#awaitInterest(pending)
      else if (what === 'request') this.#settle(pending, failures.nobody(what, message.subject))
      else this.#settle(pending, 0)
    } else if (reply.kind === 'control') {
      const { op, interest, error } = reply.operation
      if (op === 'interest') {
        if (what === 'interest') this.#settle(pending, interest === true)
        else if (interest === true) {
          pending.waitForInterest = pending.isWaiting = false
          this.#sendQuestion(pending)
        } else this.#settle(pending, failures.nobodyCame(what, message.subject))
      } else if (op === 'refused') {
        const refused = failures.refusal(error)
        this.#settle(pending, refused.code === 410 ? failures.unanswered(what, message.subject) : refused)
      }
    }
  }

  #settle(pending: Pending, outcome: Outcome): void {
    if (this.#forget(pending)) pending.done(outcome)
  }

  #forget(pending: Pending): boolean {
    this.#byToken.delete(pending.token)
    if (!this.#pending.delete(pending.id)) return false
    if (!pending.hasLeft) this.#offlineBytes -= sizeOf(pending)
    return true
  }

  #failOffline(failure: Failure): void {
    for (const pending of [...this.#pending.values()]) if (!pending.hasLeft) this.#settle(pending, failure)
  }

  // ---- what the session tells

  handleConnected(): void {
    this.#host.emit({ name: 'connected' })
  }

  handleInfo(info: Record<string, unknown>): void {
    const { maxPayload, maxMessage, instance } = info
    this.#chunkSize = Math.max(1, (maxPayload as number) - CHUNK_OVERHEAD)
    this.#watchesEnds = typeof instance === 'string'
    this.maxMessage = Number.isSafeInteger(maxMessage) ? (maxMessage as number) : NEVER
    this.#host.emit({ name: 'info', info })
    if (!this.session.isUp) return
    const inbox = [`${this.inbox}.*`, this.#inboxQueue, { class: 'direct' }]
    this.#subscribe([inbox, ...this.subscriptions.entries], true)
  }

  #handleUp(): void {
    this.isUp = true
    this.session.handleReady()
    for (const pending of [...this.#pending.values()]) {
      if (!pending.hasLeft) {
        this.#offlineBytes -= sizeOf(pending)
        this.#ask(pending)
      } else if (pending.isWaiting) this.#awaitInterest(pending)
    }
    for (const socket of [...this.sockets]) {
      socket.handleFabricUp()
      this.#dirty.add(socket)
    }
    this.#host.emit({ name: 'inbox' })
  }

  handleDisconnected(reason: Failure | undefined, wasConnected: boolean): void {
    this.isUp = false
    this.#acks.clear()
    this.#watches.clear()
    this.#reassembly.clear()
    for (const socket of [...this.sockets]) socket.handleFabricDown()
    const why = reason ?? new Failure('ERR_CONNECT', 'the connection ended')
    for (const pending of [...this.#pending.values()]) {
      // An answer still finds the inbox; a confirmation cannot come any more.
      const isConfirmation = pending.what === 'publish' && pending.hasLeft && !pending.isWaiting
      if (isConfirmation) this.#settle(pending, failures.connectionLost(pending.message.subject, why))
    }
    this.#host.emit(wasConnected ? { name: 'disconnected', reason } : { name: 'connectFailed', reason: why })
    if (this.session.isIdle) this.#failOffline(why)
    this.#stranding = reason
    this.#host.wake()
  }

  /** Why there is no connection, and will be none before `connect()`: without reconnection, unless that was asked for. */
  get stranded(): Failure | undefined {
    return this.session.isIdle ? this.#stranding : undefined
  }

  handleSignInRefused(reason: Failure): void {
    this.#host.emit({ name: 'signInRefused', reason })
    this.#failOffline(reason)
  }

  handleFrame(frame: Frame): void {
    if (frame.kind === 'deliver') this.#deliver(frame)
    else if (frame.kind === 'published') this.#take(frame.id, frame)
    else if (frame.kind === 'watched') {
      for (const { id, what, crowd } of frame.changes) this.#watches.get(id)?.(what, crowd)
    } else if (frame.kind === 'control') {
      const { op, ack, message, subject, kind } = frame.operation
      if (typeof ack === 'number') this.#take(ack, frame)
      else if (op === 'permission') {
        const type = kind === 'sub' ? 'sub' : 'pub'
        this.#host.emit({ name: 'permission', message: String(message), subject: String(subject), type })
      }
    }
  }

  #take(id: number, reply: Frame): void {
    const handle = this.#acks.get(id)
    this.#acks.delete(id)
    handle?.(reply)
  }

  #deliver({ pattern, message, chunk }: Extract<Frame, { kind: 'deliver' }>): void {
    const whole = chunk === undefined ? message : this.#reassembly.push(this.now(), pattern, message, chunk)
    if (whole === undefined) return
    if (pattern !== `${this.inbox}.*`) {
      this.subscriptions.deliver(pattern, whole)
      return
    }
    const pending = this.#byToken.get(whole.subject.slice(this.inbox.length + 1))
    if (pending !== undefined) this.#settle(pending, whole)
  }

  // ---- time and turns

  handleBytes(bytes: Uint8Array): void {
    this.session.handleBytes(bytes)
    for (const socket of this.sockets) this.#dirty.add(socket)
    this.flush()
  }

  /** Lets leave what may leave. */
  flush(): void {
    const { stranded } = this
    if (stranded !== undefined) {
      for (const pending of [...this.#pending.values()]) this.#settle(pending, stranded)
      for (const socket of this.sockets) {
        socket.close(withReason(lost(stranded.message), stranded))
        this.#dirty.add(socket)
      }
      this.subscriptions.clear(stranded)
    }
    if (this.#host.isCongested) return
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    for (const socket of dirty) {
      socket.flush()
      if (socket.isClosed) this.sockets.delete(socket)
    }
  }

  pollTimeout(): number {
    let next = this.session.pollTimeout()
    // What has run out is looked at when it is known whether the connection has outlived the sleep.
    if (!this.session.isProbing) {
      for (const { deadline } of this.#pending.values()) next = Math.min(next, deadline)
      for (const socket of this.sockets) next = Math.min(next, socket.pollTimeout())
    }
    this.#expected = next
    return next
  }

  handleTimeout(): void {
    const now = this.now()
    this.session.handleTimeout(now - this.#expected)
    if (this.session.isProbing) return
    for (const pending of [...this.#pending.values()]) {
      if (pending.deadline > now) continue
      const { what, message, hasLeft, isWaiting } = pending
      if (what === 'interest' && hasLeft) this.#settle(pending, false)
      else {
        const why = hasLeft ? '' : ': no connection to a broker'
        const nobodyCame = hasLeft && isWaiting
        this.#settle(
          pending,
          nobodyCame
            ? failures.nobodyCame(what, message.subject)
            : failures.timeout(what, message.subject, why),
        )
      }
    }
    for (const socket of [...this.sockets]) {
      socket.handleTimeout()
      this.#dirty.add(socket)
    }
    this.flush()
  }

  /** Ends for good. */
  close(failure: Failure): void {
    for (const socket of [...this.sockets]) socket.close()
    this.sockets.clear()
    if (this.session.isUp) this.#control({ op: 'leaving' })
    for (const pending of [...this.#pending.values()]) this.#settle(pending, failure)
    this.subscriptions.clear(failure)
    this.isUp = false
    this.session.close()
  }
}

function sizeOf({ message }: Pending): number {
  return message.items.reduce((sum, item) => sum + bytesOf(item), 1024)
}
