// The client's end of a socket (docs/protocols/socket.md), as src/socket/client_socket: finds a server, attaches to it, and
// finds it again after the connection was lost. A pure machine: time and everything that comes are handed in.
import { Failure } from '../../values/failure'
import { CANCEL, CLOSE, type Class, type Close, keyOf, REPLY, refusalItem } from '../stream/items'
import { SendQueue } from '../stream/send-queue'
import { Stream, type StreamHost } from '../stream/stream'
import { listOf, ownWindows } from '../stream/windows'
import { WireError } from '../wire/bytes'
import { bytesOf, type Fields, type Item, jsonOf, type Publication } from '../wire/publication'
import type { Absent, Loss } from './absence'
import type { Fabric, MachineSettings, SocketSink } from './fabric'
import { empty, jsonIn, NIL, offerOf, serverIdOf } from './greeting'
import { LineRequests } from './line-requests'
import { Presence } from './presence'
import {
  lost,
  misbehaved,
  peerLoss,
  reasonOf,
  requestFailures,
  tooLarge,
  unsupported,
  withReason,
} from './reasons'

type Phase = 'disconnected' | 'fabric' | 'server' | 'subscription' | 'accept' | 'ready' | 'closing' | 'closed'

/** Milliseconds: for a server to say that it is there; to attach; the first pause. */
const FIND_TIMEOUT = 3000
const COMMAND_TIMEOUT = 4000
const FIRST_RETRY = 500
/** A search that failed earlier was refused. */
const MIN_FIND = 1000
/** One that was asked to attach us and has not answered is looked up after so long, and again. */
const LOOK_UP = 300
const LOOK_UP_AGAIN = 1000
const MAX_TURNED_AWAY = 3
/** An orderly end says its close again after so long, then after twice that; after an outage so often in all. */
const FIRST_REPEAT = 1000
const AFTER_OUTAGE = 3
const MAX_WAITING_BYTES = 64 * 1024 * 1024
const NEVER = Number.POSITIVE_INFINITY

export class SocketMachine implements StreamHost {
  readonly settings: MachineSettings
  readonly sender: SendQueue
  readonly requests: LineRequests
  stream: Stream | undefined
  readonly #fabric: Fabric
  readonly #sink: SocketSink
  readonly #presence: Presence
  #phase: Phase = 'fabric'
  #retryAt = NEVER
  /** Until when it waits to be connected by hand, if nothing else will connect it. */
  #byHandUntil = NEVER
  #retryPause = FIRST_RETRY
  #server: string | undefined
  /** Whether the server was asked and may have us; and whether it has. */
  #isAsked = false
  #isHeld = false
  #attempt = 0
  #offered = 0
  #forget: () => void = () => {}
  #unsubscribe: (() => void) | undefined
  #isSubscribed = false
  #lookUpAt = NEVER
  #turnedAway = 0
  #fabricLostAt: number | undefined
  #ended: (() => void) | undefined
  #closeAgainAt = NEVER
  #closePause = FIRST_REPEAT
  #closesLeft = NEVER

  constructor(fabric: Fabric, sink: SocketSink, settings: MachineSettings) {
    this.#fabric = fabric
    this.#sink = sink
    this.settings = settings
    const { subject, maxQueueSize, maxQueueBytes, resumeTimeout } = settings
    this.sender = new SendQueue({ messages: maxQueueSize, bytes: maxQueueBytes })
    this.requests = new LineRequests(this.sender)
    const handlers = {
      handleHere: () => this.#handleReturn(),
      handleGone: () => this.#handleGone(),
      handleAway: (absent: Absent) => this.#handleAway(absent),
      handleReplaced: () => {
        if (this.#phase !== 'ready') return
        // The newer one says that it has no such socket.
        this.#enterDisconnected(NEVER)
        this.#begin()
      },
    }
    this.#presence = new Presence(fabric, subject, handlers, { place: fabric.random(), resumeTimeout })
  }

  get isClosed(): boolean {
    return this.#phase === 'closed'
  }

  get isReady(): boolean {
    return this.#phase === 'ready' && this.stream?.isAttached === true
  }

  get serverId(): string | undefined {
    return this.#isHeld ? this.#server : undefined
  }

  get #serverSubject(): string | undefined {
    const { subject, id } = this.settings
    return this.#server === undefined ? undefined : `${subject}.server.${this.#server}.${id}`
  }

  // ---- what the application wants

  connect(): void {
    if (this.#phase === 'fabric' || this.#phase === 'disconnected') this.#begin()
  }

  /** Detaches until `connect`. Nothing is lost. */
  disconnect(): void {
    if (this.isClosed || this.#phase === 'closing') return
    this.#noteUnanswered()
    this.#presence.end()
    // Nothing comes to it meanwhile.
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#isSubscribed = false
    this.#byHandUntil = NEVER
    this.#enterDisconnected(NEVER)
    this.#awaitHand()
  }

  /** It does not reconnect by itself: it waits for `connect`, but not for ever. */
  #awaitHand(): void {
    if (this.settings.reconnection || this.#byHandUntil !== NEVER) return
    this.#byHandUntil = this.#fabric.now() + this.#presence.patience
  }

  handleConsumed(kind: Class, count = 1): void {
    this.stream?.handleConsumed(kind, count)
  }

  /** Asks the other end. Returns the key, or why not. */
  ask(asked: Item, timeout: number, settle: (outcome: Item | Failure) => void): number | Failure {
    if (this.#presence.failsRequests) return requestFailures.away()
    return this.requests.ask(this.#fabric.now(), asked, timeout, settle)
  }

  /** Answers a request of the other end. Too much becomes a refusal. */
  answer(item: Item): void {
    const isFull = (this.sender.waitingBytes[REPLY] as number) > MAX_WAITING_BYTES
    const text = 'too many answers wait'
    this.sender.write(isFull ? refusalItem(keyOf(item), true, 'ENOBUFS', text) : item)
  }

  /**
   * Closes at once, and tells the other end: in these words, that what was written is incomplete; or for which reason,
   * if there is one.
   */
  close(reason?: Failure, abort = reason?.message): void {
    if (this.isClosed) return
    const code = abort && String(reason?.code ?? 'ERR_SOCKET_ABORTED')
    if (this.#phase !== 'closing') this.#sayClosed(code, false, abort)
    this.#finish(reason)
  }

  /** Everything is handled: tells the other end, and calls back when that is known there. */
  beginEnd(done: () => void): void {
    this.#ended = done
    if (this.isClosed) done()
    else this.#checkEnd()
  }

  // ---- what the client tells

  handleFabricUp(): void {
    const now = this.#fabric.now()
    this.#presence.ownAbsence = this.#fabricLostAt === undefined ? 0 : now - this.#fabricLostAt
    this.#fabricLostAt = undefined
    // The server of a socket that goes on is told, when it is there.
    if (!this.#isHeld && this.#closesForSize()) return
    if (this.#phase === 'closing') {
      // Whether the server will be there is open.
      this.#closesLeft = AFTER_OUTAGE
      this.#closePause = FIRST_REPEAT
      this.#sayClosed('', true)
    } else if (this.#phase === 'fabric' || (this.#phase === 'disconnected' && this.#retryAt !== NEVER))
      this.#begin()
  }

  handleFabricDown(): void {
    const now = this.#fabric.now()
    this.#fabricLostAt ??= now
    this.#presence.forget()
    const wasAway = this.#presence.end() !== undefined
    if (wasAway && this.#phase === 'disconnected' && this.#retryAt === NEVER) {
      if (this.settings.reconnection) this.#retryAt = now
      else this.#awaitHand()
    }
    this.#noteUnanswered()
    if (this.#phase === 'closing') {
      // The server may not have heard it.
      this.#closeAgainAt = NEVER
      this.stream?.detach()
    } else if (this.#isThere) {
      this.#enterDisconnected(this.settings.reconnection ? now : NEVER)
      this.#awaitHand()
    }
  }

  /** Whether it is attached, or on its way. */
  get #isThere(): boolean {
    return !['disconnected', 'fabric', 'closed'].includes(this.#phase)
  }

  /** A batch of commands, or of what came, is done with: what follows from it leaves. */
  flush(): void {
    if (this.#phase === 'fabric' && this.#fabric.isUp) this.#begin()
    if (this.isClosed) return
    this.#checkEnd()
    this.#guard(() => this.stream?.pump(this.#fabric.now()))
  }

  pollTimeout(): number {
    if (this.isClosed) return NEVER
    return Math.min(
      this.#ownDeadline,
      this.stream?.pollTimeout() ?? NEVER,
      this.#presence.pollTimeout(),
      this.requests.pollTimeout(),
    )
  }

  get #ownDeadline(): number {
    switch (this.#phase) {
      case 'disconnected':
        return Math.min(this.#fabric.isUp ? this.#retryAt : NEVER, this.#byHandUntil)
      case 'accept':
        return this.#lookUpAt
      case 'closing':
        return this.#closeAgainAt
      default:
        return NEVER
    }
  }

  handleTimeout(): void {
    if (this.isClosed) return
    const now = this.#fabric.now()
    this.requests.handleTimeout(now, this.isReady)
    if (!this.#handleAbsence(now)) return
    if (this.stream?.handleTimeout(now) && this.#phase === 'ready') this.#handleLoss('silent')
    if (this.#ownDeadline > now) return
    if (this.#byHandUntil <= now) this.close(lost('it was disconnected, and has `reconnection: false`'))
    else if (this.#phase === 'disconnected') this.#begin()
    else if (this.#phase === 'accept') this.#lookUpServer()
    else this.#sayClosed('', true)
  }

  // ---- finding a server, and attaching

  #begin(): void {
    this.#byHandUntil = NEVER
    if (!this.#fabric.isUp) {
      this.#phase = 'fabric'
      return
    }
    this.#sink.handleState('connecting')
    if (this.isClosed) return
    const { subject, id } = this.settings
    this.#unsubscribe ??= this.#fabric.subscribe(`${subject}.client.${id}`, {
      handleMessage: message => this.#guard(() => this.#handleMessage(message)),
      handleConfirmed: () => {
        this.#isSubscribed = true
        if (this.#phase === 'subscription') this.#askToAttach()
      },
      handleRefused: failure => {
        this.#unsubscribe = undefined
        this.close(failure)
      },
    })
    // Whether it is there at all is told at once.
    if (this.#isHeld) this.#presence.watch(this.#serverSubject as string)
    if (this.#isAsked || this.#isHeld) this.#askWhenSubscribed()
    else this.#findServer()
  }

  #findServer(): void {
    const begun = this.#fabric.now()
    const message = empty(`${this.settings.subject}.server.status`)
    this.#phase = 'server'
    this.#forget = this.#fabric.ask(message, { timeout: FIND_TIMEOUT, waitForInterest: true }, outcome => {
      if (this.#phase !== 'server') return
      const id = outcome instanceof Failure ? undefined : serverIdOf(outcome)
      if (id !== undefined) {
        this.#server = id
        this.#askWhenSubscribed()
      } else if (outcome instanceof Failure && this.#fabric.now() >= begun + MIN_FIND) this.#findServer()
      else this.#retry()
    })
  }

  #askWhenSubscribed(): void {
    if (this.#isSubscribed) this.#askToAttach()
    else this.#phase = 'subscription'
  }

  #askToAttach(): void {
    const { settings, stream } = this
    const now = this.#fabric.now()
    this.#phase = 'accept'
    this.#attempt += 1
    this.#lookUpAt = this.#isHeld || this.#isAsked ? NEVER : now + LOOK_UP
    this.#offered = stream?.ownTag ?? this.#fabric.randomTag()
    const window = listOf(ownWindows(settings.maxQueueSize, settings.maxQueueBytes))
    const offer = { v: 1, tag: this.#offered, window, for: stream?.peerTag }
    const json = jsonOf({ id: settings.id, resume: this.#isHeld, stream: offer })
    const status = stream?.attachStatus()
    const message: Publication = {
      subject: this.#serverSubject as string,
      command: 'connect',
      attempt: this.#attempt,
      seq: status?.seq,
      items: [{ ...(status?.item ?? NIL), json }],
    }
    // The last attempt ends when the patience does.
    const timeout = Math.min(COMMAND_TIMEOUT, Math.max(1000, this.#presence.lostAt - now))
    this.#forget = this.#fabric.ask(message, { timeout, waitForInterest: true }, outcome => {
      if (this.#phase !== 'accept') return
      // Whoever answers the question itself knows nothing of the stream.
      if (outcome instanceof Failure) this.#handleNoServer(outcome)
      else this.close(unsupported())
    })
  }

  #handleNoServer({ code, details }: Failure): void {
    const hasEnded = code === 'EPIPE'
    if (code !== 503 && details?.handled !== false && !hasEnded) {
      this.#noteUnanswered()
      if (this.#presence.loss === 'ended') this.#presence.end()
    } else if (this.#isHeld || this.#isAsked) {
      const { ownAbsence } = this.#presence
      const since = this.#fabric.now() - (hasEnded ? 0 : COMMAND_TIMEOUT)
      this.#presence.begin(since, { loss: 'ended', settles: false, ownAbsence, crowd: 1 })
    } else {
      this.#server = undefined
      // The tags tell the next one from it.
      if (hasEnded) {
        this.#enterDisconnected(this.#fabric.now())
        return
      }
    }
    this.#retry()
  }

  /** No answer yet from a server that does not have us: is it still there? */
  #lookUpServer(): void {
    this.#lookUpAt = this.#fabric.now() + LOOK_UP_AGAIN
    const attempt = this.#attempt
    this.#fabric.lookUp(this.#serverSubject as string, isThere => {
      if (isThere || attempt !== this.#attempt || this.#phase !== 'accept') return
      this.#server = undefined
      this.#enterDisconnected(this.#fabric.now())
    })
  }

  #handleAccepted({ attempt = this.#attempt, seq, items: [item] }: Publication): void {
    if (this.#phase !== 'accept' || attempt !== this.#attempt) return
    const offer = offerOf(item)
    if (item === undefined || offer === undefined) {
      this.close(unsupported())
      return
    }
    if (offer.for !== this.#offered || offer.tag !== (this.stream?.peerTag ?? offer.tag)) return
    this.#forget()
    const now = this.#fabric.now()
    this.#phase = 'ready'
    this.#isHeld = true
    this.#presence.end()
    this.#presence.ownAbsence = this.#turnedAway = 0
    this.#retryPause = FIRST_RETRY
    this.sender.windows ??= offer.windows
    this.stream ??= new Stream(this, this.sender, this.settings, { own: this.#offered, peer: offer.tag })
    this.#presence.watch(this.#serverSubject as string)
    this.stream.attach(now)
    this.stream.handleAttachStatus(now, seq, item)
    if (this.#closesForSize()) return
    this.#sink.handleState('ready')
  }

  /** Looks through what was written before it was known how much the broker takes. Returns whether that ends it. */
  #closesForSize(): boolean {
    const limit = this.#fabric.maxMessage
    const rest = this.sender.handleLimit(limit, (key, size) =>
      this.requests.cancel(key, tooLarge(size, limit)),
    )
    if (rest > 0) this.#refuse(tooLarge(rest, limit))
    return rest > 0
  }

  #refuse(reason: Failure): void {
    this.#sayClosed('ERR_TOO_LARGE', false, reason.message)
    this.#finish(reason)
  }

  #retry(): void {
    const now = this.#fabric.now()
    const pause = this.#retryPause * (1 - this.#fabric.random() / 4)
    this.#retryPause = Math.min(COMMAND_TIMEOUT, this.#retryPause * 1.3)
    const { lostAt } = this.#presence
    this.#enterDisconnected(Math.min(now + pause, lostAt > now ? lostAt : NEVER))
  }

  /** The server may have accepted us, if it was being asked. */
  #noteUnanswered(): void {
    if (this.#phase === 'accept' && this.#server !== undefined) this.#isAsked = true
  }

  #enterDisconnected(retryAt: number): void {
    const wasThere = this.#isThere
    this.#forget()
    this.#phase = 'disconnected'
    this.#retryAt = retryAt
    this.stream?.detach()
    const { loss } = this.#presence
    if (wasThere) this.#sink.handleState('disconnected', loss && peerLoss(loss))
  }

  // ---- what comes

  #handleMessage(message: Publication): void {
    const { command, reply } = message
    if (this.isClosed) return
    if (command === 'close') this.#handleClose(message)
    else if (command === 'connected') this.#handleAccepted(message)
    else if (command !== undefined) return
    else if (reply === undefined) this.#handleItems(message)
    else if (this.#phase !== 'closing') this.#sink.handleBeside(message)
  }

  #handleItems({ seq, attempt, items }: Publication): void {
    // Nothing is given to an application that has ended.
    const given = this.#phase === 'closing' ? items.filter(({ encoding }) => encoding === CLOSE) : items
    if (given.length === 0) return
    const limit = this.settings.maxMessageBytes
    const large = given.find(item => bytesOf(item) > limit)
    if (large !== undefined) {
      this.#refuse(tooLarge(bytesOf(large), limit))
      return
    }
    const outcome = this.stream?.handleItems(this.#fabric.now(), { seq, attempt }, given)
    if (outcome !== undefined && outcome !== 'foreign') this.#handlePeerClose(outcome)
  }

  /** The listener says that it has no such socket, or does not take it. */
  #handleClose({ items }: Publication): void {
    const { for: tag, code, retry } = jsonIn(items[0])
    const isOurs =
      tag === (this.stream?.ownTag ?? this.#offered) || (tag === this.stream?.peerTag && tag !== undefined)
    if (!isOurs) return
    const known = typeof code === 'string' || typeof code === 'number' ? String(code) : ''
    const isKnown = known === 'ERR_SUPERSEDED' || known === '429'
    if (this.#phase === 'closing') this.#finish(undefined)
    else if (retry === true && !this.#isHeld) this.#handleTurnedAway()
    else if (this.#phase === 'accept' && this.#isHeld && !isKnown) {
      this.#finish(lost('the server has no such socket any more'))
    } else this.#finish(reasonOf(known))
  }

  /** The server was about to end: the next one is asked at once, unless that has happened too often. */
  #handleTurnedAway(): void {
    this.#server = undefined
    this.#isAsked = false
    if (this.#phase !== 'accept') return
    this.#turnedAway += 1
    if (this.#turnedAway <= MAX_TURNED_AWAY) {
      this.#enterDisconnected(this.#fabric.now())
      return
    }
    this.#turnedAway = 0
    this.#retry()
  }

  #handlePeerClose({ isDraining, code, message, written }: Close): void {
    const missing = Math.max(0, written - (this.stream?.received ?? 0))
    const isLeaving = isDraining && this.#phase !== 'closing'
    const reason = reasonOf(code, message, missing, isLeaving)
    if (isLeaving) this.requests.failUnhandled()
    this.#finish(this.#phase === 'closing' ? undefined : reason)
  }

  /** What breaks a rule closes this one socket. */
  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.close(this.#phase === 'closing' ? undefined : misbehaved(error))
    }
  }

  // ---- what the stream tells

  transmit(fields: Fields, items: Item[], isProbe: boolean): void {
    const subject = this.#serverSubject
    if (subject === undefined) return
    const message = { subject, ...fields, items }
    if (!isProbe) {
      this.#fabric.publish(message)
      return
    }
    this.#fabric.probe(message, () => {
      if (this.isReady) this.#handleLoss('ended')
    })
  }

  deliver(item: Item): boolean {
    const isForApplication = item.encoding <= 0x82
    if (isForApplication) this.#sink.handleItem(item)
    else if (item.encoding === CANCEL) this.#sink.handleCancelled(keyOf(item))
    else this.requests.handleAnswer(item)
    return isForApplication
  }

  handleAcked(): void {
    this.#sink.handleAcked()
  }

  // ---- presence

  #handleGone(): void {
    if (this.isClosed) return
    this.#finish(this.#phase === 'closing' ? undefined : lost('its server has ended'))
  }

  #handleAway(absent: Absent): void {
    if (this.isClosed || this.#phase === 'closing') return
    this.#presence.begin(this.#fabric.now(), absent)
    if (this.#phase === 'ready') this.stream?.detach()
  }

  /** The server did not answer, or is known not to be there: the application is told at once. */
  #handleLoss(loss: Loss): void {
    const now = this.#fabric.now()
    this.#presence.begin(now, { loss, settles: false, ownAbsence: 0, crowd: 1 })
    this.#noteUnanswered()
    this.#enterDisconnected(this.settings.reconnection ? now + FIRST_RETRY : NEVER)
  }

  #handleReturn(): void {
    const wasTold = this.#presence.end()
    if (wasTold === undefined) return
    if (this.#phase === 'ready' && !wasTold && this.stream !== undefined) {
      this.stream.attach(this.#fabric.now())
      this.stream.handleReturn()
    } else if (this.#phase === 'disconnected') {
      if (this.settings.reconnection) this.#begin()
      else this.#awaitHand()
    }
  }

  /** Returns whether it is still open. */
  #handleAbsence(now: number): boolean {
    for (let step = this.#presence.pollStep(now); step !== undefined; step = this.#presence.pollStep(now)) {
      if (step === 'settled') {
        this.#noteUnanswered()
        this.#enterDisconnected(NEVER)
      } else if (step === 'requests-over') this.requests.failOfAbsence()
      else if (step === 'look') this.#lookOnce()
      else {
        const isSilent = this.#presence.loss === 'silent'
        const why = isSilent ? 'its server gave no sign of life' : 'its server is not on the fabric any more'
        this.#finish(lost(why))
        return false
      }
    }
    return true
  }

  #lookOnce(): void {
    this.#fabric.lookUp(this.#serverSubject as string, isThere => {
      if (isThere) this.#handleReturn()
      else {
        this.#presence.handleMissed()
        this.handleTimeout()
      }
    })
  }

  // ---- the end

  #checkEnd(): void {
    if (this.#ended === undefined || this.#phase === 'closing' || this.sender.unacked > 0) return
    // The server of a stream is told when the connection is back.
    if (this.isReady || (this.stream !== undefined && !this.#fabric.isUp)) {
      this.#sayClosed('', true)
      this.#phase = 'closing'
    } else this.close()
  }

  #sayClosed(code = '', isRepeated = false, message = ''): void {
    const now = this.#fabric.now()
    if (isRepeated) {
      if (this.#closesLeft-- === 0) {
        this.#finish(undefined)
        return
      }
      this.#closeAgainAt = this.#fabric.isUp ? now + this.#closePause : NEVER
      this.#closePause *= 2
    }
    const subject = this.#serverSubject
    if (!this.#fabric.isUp || subject === undefined || this.#attempt === 0) return
    if (this.stream === undefined) {
      const item = { ...NIL, json: jsonOf({ id: this.settings.id, for: this.#offered }) }
      this.#fabric.publish({ subject, command: 'close', items: [item] })
      return
    }
    try {
      this.stream.sayClosed(now, code, message)
    } catch {
      // What comes of it does not matter any more.
    }
  }

  #finish(reason: Failure | undefined): void {
    if (this.isClosed) return
    this.#phase = 'closed'
    this.#forget()
    this.#unsubscribe?.()
    this.stream?.detach()
    const { loss } = this.#presence
    this.#presence.close()
    const told = loss === undefined ? reason : withReason(reason, peerLoss(loss))
    this.requests.failAll(told)
    this.#ended?.()
    this.#sink.handleClosed(told, this.sender.takeUndelivered())
  }
}
