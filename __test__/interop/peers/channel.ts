// What both ends of a socket of the original's kind do: numbers, gaps, one report for each message, pings.
import { EventEmitter, once } from 'node:events'
import { type Client, FabricFailure, type Message, type SendOptions } from './client'
import { CMD, decode, encode, type Headers, SEQ } from './wire'

export type Dialect = 'classic' | 'attempt'

export interface SocketOptions {
  dialect: Dialect
  id?: string
  maxQueueSize?: number
  keepAlive?: number
  keepAliveTimeout?: number
  /** Messages that are lost on the way the first time they are sent, by number. */
  loses?: (seq: number) => boolean
  /** Messages that are lost the first time they arrive. */
  misses?: (seq: number) => boolean
  /** Every message is sent once more at once, and again after the next one, unless it was acknowledged meanwhile. */
  repeats?: boolean
  /** No reports until `releaseReports`. */
  holdsReports?: boolean
}

interface Sent {
  encoding: number
  raw: Uint8Array
  headers: Headers
}

/** Emits `data`, `request`, `drain`, `ping` when it is asked for a sign of life, and its states. */
export abstract class Channel extends EventEmitter {
  state: 'disconnected' | 'connecting' | 'ready' | 'closed' = 'disconnected'
  /** Hears nothing and says nothing: as good as dead, for a test of keep-alive. */
  isMute = false
  /** What it asked and was asked for, for tests to look at. */
  readonly seen = {
    reports: [] as number[],
    askedFor: [] as number[],
    asks: [] as number[],
    longestAsk: 0,
    unsortedAsks: 0,
  }
  readonly #queued: [unknown, Headers | undefined][] = []
  readonly #unacked = new Map<number, Sent>()
  #seq = 0
  #emitted = 0
  readonly #early = new Map<number, Message>()
  readonly #lost = new Set<number>()
  readonly #missed = new Set<number>()
  readonly #reports: number[] = []
  #isReporting = false
  #isAsking = false
  #holdsReports: boolean
  #resend: NodeJS.Timeout | undefined
  #alive: NodeJS.Timeout | undefined

  constructor(
    readonly client: Client,
    readonly options: SocketOptions,
  ) {
    super()
    this.#holdsReports = options.holdsReports ?? false
  }

  /** Where the other end listens. */
  protected abstract get peer(): string
  /** The other end gave no sign of life, or has forgotten what is missing here. */
  protected abstract reset(): void
  abstract close(): void

  get unsent(): number {
    return this.#unacked.size + this.#queued.length
  }

  write(data: unknown, options: { headers?: Headers } = {}): void {
    if (this.state === 'closed') throw new FabricFailure('closed', 'EPIPE')
    const limit = this.options.maxQueueSize ?? 1000
    if (this.unsent >= limit) {
      throw new FabricFailure(`WRITE FAILED: socket buffer size ${limit} exceeded`, 'ENOBUFS')
    }
    if (this.state === 'ready') this.#send(data, options.headers)
    else this.#queued.push([data, options.headers])
  }

  request(data: unknown, options: { headers?: Headers; timeout?: number } = {}): Promise<Message> {
    return this.client.request(this.peer, data, options)
  }

  /** Resolves when everything written is acknowledged. */
  async drain(): Promise<void> {
    if (this.unsent > 0) await once(this, 'drain')
  }

  releaseReports(): void {
    this.#holdsReports = false
    void this.#report()
  }

  protected setState(state: Channel['state']): void {
    if (this.state === state || this.state === 'closed') return
    this.state = state
    this.emit(state)
  }

  /** Ready: what was queued goes out, and the last message once more. */
  protected attach(): void {
    this.setState('ready')
    this.#sendLast(500)
    for (const [data, headers] of this.#queued.splice(0)) this.#send(data, headers)
    void this.#report()
    this.#keepAlive()
    if (this.options.dialect === 'classic') void this.#ping()
  }

  protected detach(): void {
    clearTimeout(this.#resend)
    clearTimeout(this.#alive)
  }

  protected command(name: string, data: unknown, options: SendOptions = {}): Promise<Message> {
    const { timeout = 10_000 } = options
    if (this.isMute) return new Promise((_, reject) => setTimeout(reject, timeout, new Error('mute')).unref())
    return this.client.request(this.peer, data, { ...options, headers: { [CMD]: name }, timeout })
  }

  /** Data, a request, `ping`, `socket`. Answers are not waited for. */
  protected handle(message: Message): void {
    this.#keepAlive()
    const command = message.headers?.[CMD]
    if (command === 'socket') this.#handleControl(message)
    else if (command === 'ping') this.#handlePing(message)
    else if (command !== undefined)
      void message.respond({ error: `unknown command - '${command}'` }).catch(noop)
    else if (message.reply !== undefined) this.emit('request', message)
    else this.#handleData(message)
  }

  #handlePing(message: Message): void {
    this.emit('ping')
    void message.respond(null).catch(noop)
  }

  #handleControl(message: Message): void {
    const { emitted, missing } = message.data.socket
    if (missing !== undefined) {
      this.seen.askedFor.push(...missing)
      this.seen.longestAsk = Math.max(this.seen.longestAsk, missing.length)
      if (missing.some((seq: number, i: number) => i > 0 && seq <= missing[i - 1])) this.seen.unsortedAsks++
      const found = missing.map((seq: number) => this.#unacked.get(seq))
      const isComplete = found.every((sent: Sent | undefined) => sent !== undefined)
      const answer = isComplete
        ? message.respond(found)
        : message.respond(null, { headers: { error: 'nodata' } })
      void answer.catch(noop)
      return
    }
    this.seen.reports.push(emitted)
    if (emitted > this.#seq) throw Error(`emitted ${emitted} of ${this.#seq}`)
    for (const seq of [...this.#unacked.keys()]) if (seq <= emitted) this.#unacked.delete(seq)
    void message.respond({ emitted }).catch(noop)
    if (this.#unacked.size > 0) return
    clearTimeout(this.#resend)
    this.emit('drain')
  }

  #handleData(message: Message): void {
    const seq = message.headers?.[SEQ] as number
    if (!Number.isInteger(seq) || seq < 1) throw Error(`a message with number ${seq}`)
    if (this.options.misses?.(seq) && !this.#missed.has(seq)) {
      this.#missed.add(seq)
      return
    }
    if (seq <= this.#emitted) {
      this.#queueReport(this.#emitted)
      return
    }
    this.#early.set(seq, message)
    this.#emitEarly()
    if (this.#early.size > 0) void this.#askForMissing()
  }

  #emitEarly(): void {
    for (let next: Message | undefined; (next = this.#early.get(this.#emitted + 1)); ) {
      this.#early.delete(++this.#emitted)
      const { [SEQ]: _, ...headers } = next.headers!
      this.emit('data', next.data, headers)
      this.#queueReport(this.#emitted)
    }
  }

  async #askForMissing(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    try {
      while (this.#early.size > 0 && this.state === 'ready') {
        const missing: number[] = []
        for (let seq = this.#emitted + 1; seq < Math.max(...this.#early.keys()); seq++) {
          if (!this.#early.has(seq)) missing.push(seq)
        }
        this.seen.asks.push(...missing)
        const answer = await this.command('socket', { socket: { missing } })
        if (answer.headers?.error === 'nodata') return this.reset()
        for (const { encoding, raw, headers } of answer.data) {
          const { client, subject } = answer
          const resent = { client, subject, encoding, raw, headers, data: decode(encoding, raw) }
          if (headers[SEQ] > this.#emitted) this.#early.set(headers[SEQ], resent as unknown as Message)
        }
        this.#emitEarly()
      }
    } catch {
      // The other end sends its last message again, and the question is asked again.
    } finally {
      this.#isAsking = false
    }
  }

  #queueReport(emitted: number): void {
    this.#reports.push(emitted)
    void this.#report()
  }

  /** One request for each message, one after the other. */
  async #report(): Promise<void> {
    if (this.#isReporting || this.#holdsReports) return
    this.#isReporting = true
    while (this.#reports.length > 0 && this.state === 'ready') {
      const emitted = this.#reports.shift()!
      const answer = await this.command('socket', { socket: { emitted } }).catch(noop)
      if (answer && answer.data.emitted !== emitted) throw Error(`reported ${emitted}, got ${answer.data}`)
    }
    this.#isReporting = false
  }

  #send(data: unknown, given: Headers | undefined): void {
    const seq = ++this.#seq
    this.#unacked.set(seq, { encoding: 0, raw: encode(data), headers: { ...given, [SEQ]: seq } })
    this.#transmit(seq)
    if (this.options.repeats)
      for (const again of [seq - 1, seq]) if (this.#unacked.has(again)) this.#transmit(again)
    this.#scheduleResend(500)
  }

  #transmit(seq: number): void {
    if (this.isMute) return
    if (this.options.loses?.(seq) && !this.#lost.has(seq)) {
      this.#lost.add(seq)
      return
    }
    const { raw, encoding, headers } = this.#unacked.get(seq)!
    this.client.publishSync(this.peer, undefined, { raw, encoding, headers })
  }

  #scheduleResend(delay: number): void {
    clearTimeout(this.#resend)
    this.#resend = setTimeout(() => this.#sendLast(Math.min(delay * 1.3, 15_000)), delay)
  }

  #sendLast(delay: number): void {
    if (this.#unacked.size === 0 || this.state !== 'ready') return
    this.#transmit(this.#seq)
    this.#scheduleResend(delay)
  }

  #keepAlive(): void {
    clearTimeout(this.#alive)
    const period = this.options.keepAlive ?? 45_000
    if (period > 0 && this.state === 'ready') this.#alive = setTimeout(() => this.#ping(), period)
  }

  async #ping(): Promise<void> {
    try {
      const timeout = this.options.keepAliveTimeout ?? 30_000
      await this.command('ping', null, { timeout, waitForInterest: true })
      this.#keepAlive()
    } catch {
      if (this.state === 'ready') this.reset()
    }
  }
}

export function noop(): void {}
