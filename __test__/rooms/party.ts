// A server of rooms with its members, and what is true of them: whatever the server and its peers say is compared with it.
import type { State } from '../../index'
import { onAbort } from '../../lib/async/aborts'
import { type Message, MessageData } from '../../lib/messaging/message'
import type { RoomHost, RoomSocket } from '../../lib/rooms/host'
import type { Room } from '../../lib/rooms/room'
import { type Audience, type Outcome, Rooms } from '../../lib/rooms/rooms'
import { FabricError } from '../../lib/values/errors'
import { Failure } from '../../lib/values/failure'
import { Process, type SimulatedLink, type Watcher, type World } from './world'

/** What is true of a socket in a room. */
interface Membership {
  readonly key: string
  readonly data: unknown
  readonly since: number
  /** Whether it has had another key. */
  readonly isRekeyed: boolean
}

/** What was written to rooms: from where, to whom, and where it has been. */
export interface Broadcasted {
  readonly from: Party
  readonly audience: Audience
  /** Where it has arrived. */
  readonly arrivedAt: Set<Process>
}

export interface Options {
  readonly presence: boolean
  readonly leaveDelay: number
  readonly slowMember: 'close' | 'drop'
}

export class Member implements RoomSocket {
  static #last = 0
  readonly engineHandle = ++Member.#last
  readonly id = `m${this.engineHandle}`
  state: State = 'ready'
  ended = false
  isFull = false
  readonly user = undefined
  /** By room. */
  readonly rooms = new Map<string, Membership>()
  readonly outbox = {
    refusal: (): FabricError | undefined => (this.isFull ? new FabricError('full', 'ENOBUFS') : undefined),
    countWrite: (): boolean => true,
    countDropped: (): void => {},
  }

  constructor(readonly party: Party) {}

  whenHandled(): Promise<Failure | undefined> {
    return new Promise(resolve => {
      this.party.world.after(10, this.party.process, () =>
        resolve(this.state === 'closed' ? new Failure('ERR_SOCKET_CLOSED', 'closed') : undefined),
      )
    })
  }

  /** Answers with its id in the place of its subject. */
  request(data: unknown, { signal }: { signal: AbortSignal }): Promise<Message> {
    return new Promise((resolve, reject) => {
      onAbort(signal, () => reject(new FabricError('aborted', 'ABORT_ERR')))
      this.party.world.after(10, this.party.process, () => {
        if (this.state === 'closed') reject(new FabricError('closed', 'EPIPE'))
        else {
          const answer = new MessageData(data as MessageData)
          resolve(Object.assign(answer, { subject: this.id }) as unknown as Message)
        }
      })
    })
  }

  giveUp(): void {
    this.enter('closed')
  }

  closeWith(): void {
    this.enter('closed')
  }

  close(): void {
    this.enter('closed')
  }

  enter(state: State): void {
    if (this.state === 'closed') return
    this.state = state
    if (state === 'closed') {
      this.rooms.clear()
      this.party.members.delete(this)
    }
    this.party.rooms.handleSocketState(this, state)
  }
}

export class Party implements Watcher {
  readonly process: Process
  readonly rooms: Rooms
  readonly members = new Set<Member>()
  readonly watched = new Map<string, Room>()
  /** Everything that was written to rooms anywhere, by number. */
  readonly #all: Broadcasted[]
  /** The number of the last broadcast that came from each party. */
  readonly #newest = new Map<Party, number>()
  /** Servers that were lost, or broadcasts to them: how many. */
  readonly lost = new Map<string, number>()
  /** The first broadcast that was written to a link, and the first that was not since it had ended. */
  readonly #said = new Map<SimulatedLink, { from: number; end: number | undefined }>()
  /** Outcomes of `send` that are not known yet. */
  unsettled = 0
  #delivered: Set<number> | undefined

  constructor(
    readonly world: World,
    readonly id: string,
    readonly options: Options,
    all: Broadcasted[],
    /** All members that ever were, by id. */
    readonly everybody: Map<string, Member> = new Map(),
  ) {
    this.#all = all
    this.process = new Process(world, id)
    const host: RoomHost = {
      listener: {},
      id,
      subject: 'chat',
      fabric: this.process.fabric,
      maxMessageBytes: 1_000_000,
      rowsAtOnce: world.rowsAtOnce,
      maxWaiting: world.maxWaiting,
      countSent: () => {},
      broadcast: handles => this.#handleDelivery(handles),
      now: () => world.now,
      random: () => world.chance.fraction(),
      soon: callback => void world.after(0, this.process, callback),
      after: (ms, callback) => world.after(ms, this.process, callback),
      announceLost: (id, undelivered) => void this.lost.set(id, (this.lost.get(id) ?? 0) + undelivered),
    }
    this.rooms = new Rooms(host, options)
    this.process.watcher = this
  }

  /** Looks at a room from now on: every event must fit what was known before. */
  look(name: string): Room {
    const known = this.watched.get(name)
    if (known !== undefined) return known
    const room = this.rooms.room(name)
    this.watched.set(name, room)
    const present = new Set(room.members.keys())
    room.on('join', ({ key }) => {
      if (present.has(key)) throw new Error(`${key} joins ${name} twice, as ${this.id} sees it`)
      present.add(key)
    })
    room.on('update', ({ key, sockets }) => {
      if (!present.has(key)) throw new Error(`${key} is not in ${name}, and is updated`)
      const ids = sockets.map(({ id }) => id)
      if (new Set(ids).size !== ids.length) throw new Error(`a socket of ${key} is in ${name} twice`)
    })
    room.on('leave', ({ key, sockets }, reason) => {
      // Who has never left, and is not closed, has gone with its server, or with the way to it.
      const [last] = sockets
      const member = last && this.everybody.get(last.id)
      const is = member?.party.process.tellsInstance ? member.rooms.get(name) : undefined
      const hasStayed = is !== undefined && is.since === last?.since && is.key === key && !is.isRekeyed
      if (hasStayed && reason !== 'server-lost')
        throw new Error(`${last?.id} of ${last?.server} leaves ${name} at ${this.id} as if ${reason}`)
      if (!present.delete(key)) throw new Error(`${key} is not in ${name}, and leaves`)
      if (room.members.has(key)) throw new Error(`${key} has left ${name}, and is in`)
    })
    return room
  }

  join(member: Member, room: string, key: string | undefined, data: unknown): void {
    const before = member.rooms.get(room)
    const [since, name] = [before?.since ?? this.world.now, key ?? member.id]
    const isRekeyed = before !== undefined && (before.isRekeyed || before.key !== name)
    member.rooms.set(room, { key: name, data, since, isRekeyed })
    this.rooms.join(member, room, { ...(key === undefined ? {} : { key }), data })
  }

  update(member: Member, room: string, data: unknown): void {
    const before = member.rooms.get(room)
    const update = (): void => this.rooms.update(member, room, data)
    if (before === undefined) {
      expect(update).toThrow('room must be one that the socket has joined')
      return
    }
    member.rooms.set(room, { ...before, data })
    update()
  }

  leave(member: Member, room: string): void {
    member.rooms.delete(room)
    this.rooms.leave(member, room)
  }

  /** Writes the next number to rooms. */
  write(audience: Audience, isAwaited: boolean): void {
    const number = this.#all.length
    const broadcast: Broadcasted = { from: this, audience, arrivedAt: new Set([this.process]) }
    this.#all.push(broadcast)
    const meant = this.#meant(audience)
    this.#delivered = new Set()
    if (!isAwaited) this.rooms.write(audience, number, undefined)
    else {
      this.unsettled += 1
      this.rooms.send(audience, number, undefined).then((outcome: Outcome) => {
        this.unsettled -= 1
        if (outcome.delivered < 0) throw new Error('fewer than none')
      })
    }
    this.#compare(number, meant)
  }

  /** Asks members, and returns who has answered: each once. */
  async ask(audience: Audience): Promise<{ answered: Set<string>; failed: number }> {
    this.unsettled += 1
    const answered = new Set<string>()
    let failed = 0
    for await (const reply of this.rooms.request(audience, 'who?', { timeout: 5000 })) {
      const id = reply instanceof FabricError ? reply.ids?.[0] : reply.subject
      if (id === undefined || answered.has(id)) throw new Error(`${id} answers twice, as ${this.id} hears it`)
      answered.add(id)
      if (reply instanceof FabricError) failed += 1
    }
    this.unsettled -= 1
    return { answered, failed }
  }

  /** What this server owns, and so everybody should see, by room and key. */
  get truth(): { room: string; member: Member; is: Membership }[] {
    return [...this.members].flatMap(member => [...member.rooms].map(([room, is]) => ({ room, member, is })))
  }

  /** The members here that are meant and take it. */
  #meant({ rooms, except }: Audience): Set<number> {
    const isOut = (member: Member): boolean =>
      except.some(one => (one.startsWith('room:') ? member.rooms.has(one.slice(5)) : one === member.id))
    const meant = [...this.members].filter(
      member => !member.isFull && rooms.some(room => member.rooms.has(room)) && !isOut(member),
    )
    return new Set(meant.map(({ engineHandle }) => engineHandle))
  }

  /** Compares what a broadcast of another server does here with what is true. */
  watch(link: SimulatedLink, data: unknown, handle: () => void): void {
    const number = numberOf(data)
    if (number === undefined) {
      handle()
      return
    }
    const { from, arrivedAt, audience } = this.#all[number]!
    if (arrivedAt.has(this.process)) throw new Error(`broadcast ${number} came to ${this.id} twice`)
    arrivedAt.add(this.process)
    if ((this.#newest.get(from) ?? -1) > number)
      throw new Error(`broadcast ${number} came to ${this.id} too late`)
    this.#newest.set(from, number)
    const missing = from.missing(link.other!, number).filter(({ arrivedAt }) => !arrivedAt.has(this.process))
    if (missing.length > 0)
      throw new Error(`${missing.length} broadcasts before ${number} did not come to ${this.id}`)
    const meant = this.#meant(audience)
    this.#delivered = new Set()
    handle()
    this.#compare(number, meant)
  }

  handleWritten(link: SimulatedLink, data: unknown): void {
    const number = numberOf(data)
    if (number !== undefined && !this.#said.has(link)) this.#said.set(link, { from: number, end: undefined })
  }

  handleEnd(link: SimulatedLink): void {
    const said = this.#said.get(link)
    if (said !== undefined) said.end ??= this.#all.length
  }

  /** What was to be written to a link from its first broadcast on, up to another one. */
  missing(link: SimulatedLink, before: number): Broadcasted[] {
    const { from, end = before } = this.#said.get(link)!
    return this.#all
      .slice(from, Math.min(end, before))
      .filter(broadcast => broadcast.from === this && !broadcast.audience.isLocal)
  }

  /** What was written to a server arrived there, or its loss was told. */
  checkSent(): void {
    const missing = new Map<string, number>()
    for (const link of this.#said.keys()) {
      const to = link.other!.where
      const lost = this.missing(link, this.#all.length).filter(({ arrivedAt }) => !arrivedAt.has(to))
      missing.set(to.id, (missing.get(to.id) ?? 0) + lost.length)
    }
    for (const [id, count] of missing) {
      const told = this.lost.get(id) ?? 0
      if (told < count)
        throw new Error(`${this.id} was told that ${id} has missed ${told}, and it was ${count}`)
    }
  }

  #handleDelivery(handles: readonly number[]): void {
    for (const handle of handles) {
      if (this.#delivered!.has(handle)) throw new Error(`a member of ${this.id} is written to twice`)
      this.#delivered!.add(handle)
    }
  }

  #compare(number: number, meant: ReadonlySet<number>): void {
    const delivered = [...this.#delivered!].sort((a, b) => a - b).join()
    const expected = [...meant].sort((a, b) => a - b).join()
    if (delivered !== expected)
      throw new Error(`broadcast ${number} at ${this.id}: delivered to ${delivered}, not to ${expected}`)
  }
}

/** The number that a broadcast has, as it comes over a link; nothing for what is none. */
function numberOf(data: unknown): number | undefined {
  const [kind, , , , , encoding, raw] = Array.isArray(data) ? data : []
  if (kind !== 'write' || encoding !== 0) return undefined
  return new MessageData({ encoding, raw } as { encoding: 0; raw: Uint8Array }).data as number
}
