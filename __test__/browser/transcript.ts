// Gives the socket machine of a page what a transcript says the engine's was given (tests/sim/transcripts), and writes down
// what it says, in the same words.
import type {
  Fabric,
  MachineSettings,
  SocketSink,
  SubscriptionHandlers,
} from '../../lib/browser/socket/fabric'
import { SocketMachine } from '../../lib/browser/socket/machine'
import { answerItem, CLOSE, readClose, readStatus, STATUS } from '../../lib/browser/stream/items'
import type { Left } from '../../lib/browser/stream/send-queue'
import { type Item, jsonOf, type Publication } from '../../lib/browser/wire/publication'
import { Failure } from '../../lib/values/failure'

/** A time in microseconds, a word, and what belongs to it. */
export type Line = [at: number, word: string, ...rest: unknown[]]

/** One life of an end; src/socket wrote it. */
export interface Transcript extends Pick<MachineSettings, 'maxQueueSize' | 'maxQueueBytes'> {
  seed: number
  /** Where among all clients it is. */
  place: number
  keepAlive: number
  keepAliveTimeout: number
  resumeTimeout: number | null
  reconnection: boolean
  given: Line[]
  said: Line[]
}

type GivenItem = [encoding: number, raw: string, filling: number, json?: string]

const SUBJECT = 's'
const ID = 'page'
const FILLING = 7
/** How long the engine was looked at, in ms. */
const END = 300_000

/** Returns what the machine of a page says. */
export function replay(transcript: Transcript): Line[] {
  return new Replay(transcript).run()
}

class Replay implements Fabric, SocketSink {
  readonly #transcript: Transcript
  readonly #machine: SocketMachine
  readonly #said: Line[] = []
  #now = 0
  isUp = false
  readonly maxMessage = Number.POSITIVE_INFINITY
  readonly #tags: number[]
  #tag = 0
  #question: { number: number; done: (outcome: Publication | Failure) => void } | undefined
  #questions = 0
  #onNobody: (() => void) | undefined
  #onLook: ((isThere: boolean) => void) | undefined
  #subscription: SubscriptionHandlers | undefined
  #watch: ((what: number, crowd: number) => void) | undefined

  constructor(transcript: Transcript) {
    this.#transcript = transcript
    const { keepAlive, keepAliveTimeout, maxQueueBytes, maxQueueSize, reconnection, resumeTimeout } =
      transcript
    // Of each `connect` that did not go on.
    const connects = transcript.said.filter(([, word, , , , peer]) => word === 'connect' && peer === null)
    this.#tags = connects.map(line => line[4] as number)
    this.#machine = new SocketMachine(this, this, {
      ...{ subject: SUBJECT, id: ID, reconnection, maxMessageBytes: 1e9 },
      ...{ keepAlive, keepAliveTimeout, maxQueueBytes, maxQueueSize },
      resumeTimeout: resumeTimeout ?? undefined,
    })
  }

  run(): Line[] {
    const { given } = this.#transcript
    for (let at = 0; at < given.length; ) {
      const time = (given[at] as Line)[0] / 1000
      this.#runTimers(due => due < time)
      this.#now = time
      // What came at one moment is one batch.
      for (; at < given.length && (given[at] as Line)[0] / 1000 === time; at++) this.#give(given[at] as Line)
      this.#machine.flush()
      if (this.#machine.pollTimeout() <= time) this.#handleTimeout()
    }
    this.#runTimers(due => due <= END)
    return this.#said
  }

  #runTimers(isWanted: (due: number) => boolean): void {
    let count = 0
    for (let due = this.#machine.pollTimeout(); isWanted(due); due = this.#machine.pollTimeout()) {
      if (++count > 100_000) throw new Error(`seed ${this.#transcript.seed}: a timer goes round in circles`)
      this.#now = Math.max(this.#now, due)
      this.#handleTimeout()
    }
  }

  #handleTimeout(): void {
    this.#machine.handleTimeout()
    this.#machine.flush()
  }

  #give([, word, ...rest]: Line): void {
    const machine = this.#machine
    switch (word) {
      case 'up':
        this.isUp = true
        machine.handleFabricUp()
        break
      case 'down':
        this.isUp = false
        this.#question = this.#onNobody = this.#onLook = this.#watch = undefined
        machine.handleFabricDown()
        break
      case 'confirmed':
        this.#subscription?.handleConfirmed()
        break
      case 'data': {
        const [seq, ...item] = rest as [number, ...GivenItem]
        this.#subscription?.handleMessage(this.#publicationOf([null, seq, 'own', [item]]))
        break
      }
      case 'message':
        this.#subscription?.handleMessage(this.#publicationOf(rest))
        break
      case 'reply': {
        const [number, told] = rest as [number, string | [GivenItem]]
        if (this.#question?.number !== number) return
        const { done } = this.#question
        this.#question = undefined
        done(typeof told === 'string' ? failureOf(told) : { subject: '', items: told.map(itemOf) })
        break
      }
      case 'nobody':
        this.#onNobody?.()
        break
      case 'looked':
        this.#onLook?.(rest[0] as boolean)
        break
      case 'presence':
        this.#watch?.(rest[0] as number, 1)
        break
      case 'write': {
        const [n, size, isVolatile] = rest as [number, number, boolean]
        machine.sender.write(data(n, size), isVolatile)
        break
      }
      case 'ask': {
        const [key, timeout] = rest as [number, number]
        machine.ask(short(key), timeout, outcome => {
          const isFailure = outcome instanceof Failure
          if (!isFailure) this.#say('settled', key)
          else this.#say('failed', key, String(outcome.code), outcome.details?.handled === false)
        })
        break
      }
      case 'answer':
        machine.answer(answerItem(rest[0] as number, short(rest[0] as number)))
        break
      case 'consumed': {
        const [ofData, ofRequests] = rest as [number, number]
        if (ofData > 0) machine.handleConsumed(0, ofData)
        if (ofRequests > 0) machine.handleConsumed(1, ofRequests)
        break
      }
      case 'end':
        machine.beginEnd(() => this.#say('ended'))
        break
      case 'close':
        machine.close()
        break
      case 'disconnect':
        machine.disconnect()
        break
      case 'connect':
        machine.connect()
        break
      default:
        throw new Error(`a transcript has the word '${word}'`)
    }
  }

  #say(word: string, ...rest: unknown[]): void {
    this.#said.push([Math.round(this.#now * 1000), word, ...rest])
  }

  #sayFrames({ command, seq, attempt = 0, items }: Publication): void {
    if (command === 'close') this.#say('bye', jsonIn(items[0]).for ?? null)
    if (command !== undefined) return
    for (const [at, item] of items.entries()) {
      const frame = [seq === undefined ? null : seq + at, attempt % 1000]
      if (item.encoding === STATUS) this.#say('status', ...frame, statusOf(item))
      else if (item.encoding === CLOSE) {
        const { arrived, handled, written, isDraining, code } = readClose(item.raw)
        this.#say('close', ...frame, [arrived, ...handled], written, isDraining, code)
      } else this.#say('send', ...frame, item.encoding, mark(item))
    }
  }

  #publicationOf([command, seq, attempt, items]: unknown[]): Publication {
    return {
      subject: `${SUBJECT}.client.${ID}`,
      command: (command ?? undefined) as string | undefined,
      seq: (seq ?? undefined) as number | undefined,
      attempt: attempt === 'own' ? this.#tag : ((attempt ?? undefined) as number | undefined),
      items: (items as GivenItem[]).map(itemOf),
    }
  }

  // ---- the fabric

  now(): number {
    return this.#now
  }

  random(): number {
    return this.#transcript.place
  }

  randomTag(): number {
    this.#tag = this.#tags.shift() ?? 1
    return this.#tag
  }

  publish(message: Publication): void {
    this.#sayFrames(message)
  }

  probe(message: Publication, onNobody: () => void): void {
    this.#onNobody = onNobody
    this.#sayFrames(message)
  }

  ask(message: Publication, _: unknown, done: (outcome: Publication | Failure) => void): () => void {
    const { command, attempt, seq = null, items } = message
    const number = ++this.#questions
    this.#question = { number, done }
    if (command === undefined) this.#say('find')
    else {
      const [item] = items
      const { resume, stream } = jsonIn(item)
      const { tag, for: peer = null, window } = stream as Record<string, unknown>
      const status = item?.encoding === STATUS ? statusOf(item) : null
      this.#say('connect', attempt, resume, tag, peer, window, seq, status)
    }
    return () => {
      if (this.#question?.number === number) this.#question = undefined
    }
  }

  lookUp(_: string, done: (isThere: boolean) => void): void {
    this.#say('look')
    this.#onLook = done
  }

  subscribe(_: string, handlers: SubscriptionHandlers): () => void {
    this.#subscription = handlers
    return () => {
      this.#subscription = undefined
    }
  }

  watch(subject: string, handle: (what: number, crowd: number) => void): () => void {
    // There is one server.
    if (!subject.endsWith('.status')) this.#watch = handle
    return () => {}
  }

  // ---- the application

  handleState(state: string, reason?: Failure): void {
    this.#say('state', state, reason?.code ?? null)
  }

  handleItem(item: Item): void {
    this.#say('got', item.encoding, mark(item))
  }

  handleCancelled(key: number): void {
    this.#say('cancelled', key)
  }

  handleBeside(): void {}

  handleAcked(): void {
    this.#say('acked', this.#machine.sender.acked)
  }

  handleClosed(reason: Failure | undefined, left: Left[]): void {
    for (const { seq } of left) this.#say('undelivered', seq)
    const { missing = 0, draining = false } = reason?.details ?? {}
    this.#say('closed', reason === undefined ? null : String(reason.code), missing, draining)
  }
}

function itemOf([encoding, raw, filling, json]: GivenItem): Item {
  const bytes = Buffer.concat([Buffer.from(raw, 'hex'), Buffer.alloc(filling, FILLING)])
  return { encoding, raw: bytes, json: json === undefined ? null : Buffer.from(json) }
}

function failureOf(told: string): Failure {
  if (told === 'nobody') return new Failure(503, 'nobody listens')
  return new Failure(told === 'ended' ? 'EPIPE' : 408, told)
}

function jsonIn(item: Item | undefined): Record<string, unknown> {
  return JSON.parse(Buffer.from(item?.json ?? Buffer.from('{}')).toString()) as Record<string, unknown>
}

function statusOf({ raw }: Item): unknown {
  const { arrived, handled, asks, wasAway, missing } = readStatus(raw)
  return [[arrived, ...handled], asks, wasAway, missing]
}

/** Message `n` of an application; each third has headers. */
function data(n: number, size: number): Item {
  const raw = Buffer.alloc(4 + size, FILLING)
  raw.writeUInt32BE(n)
  return { encoding: 0, raw, json: n % 3 === 0 ? jsonOf({ n }) : null }
}

/** What is asked, and what is answered. */
function short(key: number): Item {
  const raw = Buffer.alloc(8)
  raw.writeUInt32BE(key, 4)
  return { encoding: 0, raw, json: null }
}

/** Stands for a payload and its headers: FNV-1a. */
function mark({ encoding, raw, json }: Item): string {
  let hash = 0x811c9dc5
  for (const byte of [encoding, ...raw, ...(json ?? [])]) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}
