// What servers of rooms run in, simulated: virtual time, processes that freeze and die, and a fabric between them that
// delays, loses hellos, and is cut. A link keeps its promise as sockets do: once and in order, or its end tells.
import type { EventEmitter } from 'node:events'
import type { State } from '../../index'
import { MessageData } from '../../lib/messaging/message'
import type { Link, LinkServer, RoomClient } from '../../lib/rooms/host'
import { type Dice, dice } from '../support/dice'

/** How long a silent side counts as there, in ms: at least, and by chance more. */
const SILENCE = { least: 2000, more: 2000 }
/** How long a side that is away is waited for, in ms. */
const RESUME = 4000
const PING = 500
/** When something is sent again that is not acknowledged, in ms. */
const RESEND = 1000

interface Scheduled {
  at: number
  readonly order: number
  readonly where: Process | undefined
  readonly run: () => void
  isStopped: boolean
}

export class World {
  now = 0
  readonly chance: Dice
  readonly processes = new Set<Process>()
  /** Pairs of processes that do not reach each other. */
  readonly cuts = new Set<string>()
  /** Whether hellos may be lost. */
  isStormy = true
  /** Messages that a link keeps. */
  readonly window: number
  /** Messages that may wait for a link. */
  readonly maxWaiting: number
  /** Rows in one message of a table: mostly so few that a table is in several. */
  readonly rowsAtOnce: number
  /** Whether there are servers that do not tell one process from the next of the same id, as older ones. */
  readonly hasOlder: boolean
  readonly hearers: { readonly where: Process; readonly hear: (data: unknown) => void }[] = []
  /** Links that are not closed. */
  readonly links = new Set<SimulatedLink>()
  #order = 0
  #events: Scheduled[] = []

  constructor(seed: number) {
    this.chance = dice(seed)
    this.window = this.chance.below(2) === 0 ? 5 + this.chance.below(20) : 1000
    this.maxWaiting = this.chance.below(4) === 0 ? 100 + this.chance.below(100) : 100_000
    this.rowsAtOnce = this.chance.pick([1, 2, 3, 1000])
    this.hasOlder = this.chance.below(5) === 0
  }

  /** Runs something at a process: not while it is frozen, and not once it is dead. */
  after(ms: number, where: Process | undefined, run: () => void): { stop(): void } {
    const event = { at: this.now + ms, order: this.#order++, where, run, isStopped: false }
    this.#insert(event)
    return {
      stop: () => {
        event.isStopped = true
      },
    }
  }

  async runUntil(time: number): Promise<void> {
    for (;;) {
      const event = this.#events[this.#events.length - 1]
      if (event === undefined || event.at > time) break
      this.#events.pop()
      const { where } = event
      if (event.isStopped || where?.isDead) continue
      if (where !== undefined && where.frozenUntil > event.at) {
        event.at = where.frozenUntil
        this.#insert(event)
        continue
      }
      this.now = event.at
      event.run()
      // What is awaited goes on before anything else happens.
      for (let i = 0; i < 3; i++) await null
    }
    this.now = time
  }

  /** A delay of the network, in ms. */
  delay(): number {
    return 1 + this.chance.below(this.isStormy && this.chance.below(10) === 0 ? 900 : 20)
  }

  reaches(one: Process, other: Process): boolean {
    return !this.cuts.has(pair(one.id, other.id))
  }

  /** Whether something that is said to it would be answered now. */
  answers(one: Process, other: Process): boolean {
    return !other.isDead && other.frozenUntil <= this.now && this.reaches(one, other)
  }

  cut(one: string, other: string, isCut: boolean): void {
    if (isCut) this.cuts.add(pair(one, other))
    else this.cuts.delete(pair(one, other))
  }

  /** Latest first. */
  #insert(event: Scheduled): void {
    let [low, high] = [0, this.#events.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.#events[middle]!
      if (other.at > event.at || (other.at === event.at && other.order > event.order)) low = middle + 1
      else high = middle
    }
    this.#events.splice(low, 0, event)
  }
}

function pair(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`
}

/** Looks at what comes over the links of a process, and at what is written to them. */
export interface Watcher {
  watch(link: SimulatedLink, data: unknown, handle: () => void): void
  handleWritten(link: SimulatedLink, data: unknown): void
  /** A link ends: nothing more is written to it. */
  handleEnd(link: SimulatedLink): void
}

/** An incarnation of a server, with its client. */
export class Process {
  isDead = false
  frozenUntil = 0
  watcher: Watcher | undefined
  readonly tellsInstance: boolean
  readonly server = new Map<string, (link: Link) => void>()
  readonly fabric: RoomClient
  readonly #inbox = new Set<() => void>()

  constructor(
    readonly world: World,
    readonly id: string,
  ) {
    world.processes.add(this)
    this.tellsInstance = !world.hasOlder || world.chance.below(2) === 0
    this.fabric = {
      subscribe: async () => this.#subscribe(),
      publish: async (_subject, data) => this.#publish(data),
      on: (_name, listener) => this.#inbox.add(listener),
      off: (_name, listener) => this.#inbox.delete(listener),
      socket: {
        listen: subject => this.#listen(subject),
        connect: subject => new SimulatedLink(this, subject),
      },
    }
  }

  /** Its client has connected again. */
  handleInbox(): void {
    for (const listener of [...this.#inbox]) listener()
  }

  /** Ends without a word; whoever is connected is told by the broker. */
  kill(): void {
    this.isDead = true
    const { world } = this
    world.processes.delete(this)
    for (const link of [...world.links]) {
      if (link.where === this) world.links.delete(link)
      else if (link.other?.where === this && world.reaches(link.where, this)) {
        world.after(world.chance.below(900), link.where, () => link.handleAway())
      }
    }
  }

  #subscribe(): Awaited<ReturnType<RoomClient['subscribe']>> {
    const { hearers } = this.world
    const entry = { where: this as Process, hear: (_data: unknown) => {} }
    hearers.push(entry)
    const on = (_name: string, listener: (message: { data: unknown }) => void): void => {
      entry.hear = data => listener({ data })
    }
    return {
      emitter: { on } as unknown as EventEmitter<any>,
      unref: () => {},
      close: () => void hearers.splice(hearers.indexOf(entry), 1),
    }
  }

  #publish(given: unknown): void {
    const { world } = this
    const { instance, ...older } = given as Record<string, unknown>
    const data = this.tellsInstance ? { ...older, instance } : older
    for (const hearer of world.hearers) {
      const isLost = world.isStormy && world.chance.below(10) === 0
      if (!isLost && world.reaches(this, hearer.where))
        world.after(world.delay(), hearer.where, () => hearer.hear(data))
    }
  }

  #listen(subject: string): LinkServer {
    return {
      on: (_name, listener: (link: Link) => void) => this.server.set(subject, listener),
      close: () => this.server.delete(subject),
      unref: () => {},
      isOwned: false,
    }
  }
}

export class SimulatedLink implements Link {
  static #last = 0
  readonly id = `link ${++SimulatedLink.#last}`
  state: State = 'connecting'
  isOwned = false
  other: SimulatedLink | undefined
  readonly #world: World
  readonly #handlers = new Map<string, ((...args: unknown[]) => void)[]>()
  /** What the other side is not known to have handled. */
  #unacked: { readonly number: number; readonly data: unknown }[] = []
  #written = 0
  #received = 0
  /** Runs while something is under way. */
  #again: { stop(): void } | undefined
  #silentSince: number | undefined
  readonly #patience: number

  /** Without `other` it connects to whoever listens on the subject. */
  constructor(
    readonly where: Process,
    subject: string,
    other?: SimulatedLink,
  ) {
    this.#world = where.world
    this.#world.links.add(this)
    this.#patience = SILENCE.least + this.#world.chance.below(SILENCE.more)
    this.other = other
    if (other === undefined) this.#attempt(subject)
    else this.state = 'ready'
    this.#ping()
  }

  get unacked(): number {
    return this.#unacked.length
  }

  on(name: string, given: (...args: never[]) => void): this {
    const listener = given as (...args: unknown[]) => void
    const list = this.#handlers.get(name)
    if (list === undefined) this.#handlers.set(name, [listener])
    else list.push(listener)
    return this
  }

  unref(): void {}

  waitUntilReady(timeout: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#world.after(timeout, this.where, () => {
        if (this.state === 'connecting') reject(new Error('408'))
        else resolve()
      })
    })
  }

  async waitUntilWritable(): Promise<void> {
    while (this.#unacked.length >= this.#world.window / 2) {
      if (this.state === 'closed') throw new Error('closed')
      await new Promise<void>(resolve => this.#world.after(20, this.where, resolve))
    }
  }

  async drain({ timeout } = { timeout: Number.POSITIVE_INFINITY }): Promise<void> {
    const late = this.#world.now + timeout
    while (this.#unacked.length > 0 && this.state !== 'closed') {
      if (this.#world.now >= late) throw new Error('408')
      await new Promise<void>(resolve => this.#world.after(20, this.where, resolve))
    }
  }

  undelivered(): readonly { data: unknown }[] {
    return this.#unacked
  }

  write(given: unknown): boolean {
    if (this.state === 'closed') throw Object.assign(new Error('closed'), { code: 'EPIPE' })
    if (this.#unacked.length >= this.#world.window)
      throw Object.assign(new Error('full'), { code: 'ENOBUFS' })
    let data = given instanceof MessageData ? given.data : given
    if (!this.where.tellsInstance && (data as unknown[])[0] === 'hello')
      data = (data as unknown[]).slice(0, 2)
    this.#unacked.push({ number: ++this.#written, data })
    this.where.watcher?.handleWritten(this, data)
    this.#send()
    return true
  }

  close(): void {
    this.#close('ERR_SOCKET_CLOSED_BY_PEER')
  }

  destroy(): void {
    this.#close('ERR_SOCKET_ABORTED')
  }

  #close(told: string): void {
    if (this.state === 'closed') return
    const { other, where } = this
    if (other !== undefined && this.#world.reaches(where, other.where)) {
      this.#world.after(this.#world.delay(), other.where, () => {
        if (this.#world.reaches(where, other.where)) other.#end(told)
      })
    }
    this.state = 'closed'
    where.watcher?.handleEnd(this)
    this.#world.after(0, where, () => this.#end(undefined))
  }

  /** Its broker has told that the other side's connection has ended. */
  handleAway(): void {
    if (this.state !== 'ready') return
    this.state = 'disconnected'
    this.#emit('disconnected')
    this.#world.after(RESUME, this.where, () => {
      if (this.state === 'disconnected') this.#end('ERR_SOCKET_LOST')
    })
  }

  #attempt(subject: string): void {
    const { where } = this
    const world = this.#world
    if (this.state !== 'connecting' || this.other !== undefined) return
    for (const process of world.processes) {
      if (!process.server.has(subject) || !world.reaches(where, process)) continue
      world.after(world.delay(), process, () => {
        const listener = process.server.get(subject)
        if (listener === undefined) return
        const accepted = new SimulatedLink(process, subject, this)
        listener(accepted)
        world.after(world.delay(), where, () => this.#handleAccepted(accepted))
      })
    }
    world.after(1000, where, () => this.#attempt(subject))
  }

  #handleAccepted(accepted: SimulatedLink): void {
    if (this.state !== 'connecting' || this.other !== undefined) return
    this.other = accepted
    this.state = 'ready'
    this.#emit('ready')
    this.#send()
  }

  /** Sends what is not acknowledged, one journey at a time: there, and back with the acknowledgement. */
  #send(): void {
    const { other, where } = this
    const world = this.#world
    if (this.#again !== undefined || other === undefined || this.state !== 'ready') return
    if (this.#unacked.length === 0) return
    const items = [...this.#unacked]
    const isLost = world.isStormy && world.chance.below(10) === 0
    this.#again = world.after(RESEND, where, () => this.#sendRest())
    if (isLost || !world.reaches(where, other.where)) return
    world.after(world.delay(), other.where, () => {
      if (!world.reaches(where, other.where) || other.other !== this) return
      for (const { number, data } of items) other.#receive(number, data)
      const received = other.#received
      world.after(world.delay(), where, () => {
        if (!world.reaches(where, other.where)) return
        this.#unacked = this.#unacked.filter(({ number }) => number > received)
        this.#sendRest()
      })
    })
  }

  #sendRest(): void {
    this.#again?.stop()
    this.#again = undefined
    this.#send()
  }

  #receive(number: number, data: unknown): void {
    if (this.state === 'closed' || number !== this.#received + 1) return
    this.#received = number
    const copy = structuredClone(data)
    this.where.watcher?.watch(this, copy, () => this.#emit('data', copy))
  }

  /** Looks whether the other side is there. */
  #ping(): void {
    const world = this.#world
    if (this.state === 'closed') return
    world.after(PING, this.where, () => this.#ping())
    const { other, where } = this
    if (other === undefined) return
    if (!world.answers(where, other.where)) {
      this.#silentSince ??= world.now
      if (world.now - this.#silentSince >= this.#patience) this.handleAway()
      return
    }
    this.#silentSince = undefined
    // It is there, and knows nothing of this link.
    if (other.state === 'closed' || (other.other !== undefined && other.other !== this))
      this.#end('ERR_SOCKET_LOST')
    else if (this.state === 'disconnected') {
      this.state = 'ready'
      this.#emit('ready')
      this.#sendRest()
    }
  }

  #end(code: string | undefined): void {
    if (!this.#world.links.delete(this)) return
    if (this.state !== 'closed') this.where.watcher?.handleEnd(this)
    this.state = 'closed'
    this.#emit('closed', code === undefined ? undefined : { code }, this.#unacked.length)
  }

  #emit(name: string, ...args: unknown[]): void {
    for (const handler of this.#handlers.get(name) ?? []) handler(...args)
  }
}
