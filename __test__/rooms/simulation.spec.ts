// Rooms over servers that come, crash, freeze and lose each other, by seeds, on virtual time and without the engine. Whatever
// happens: what is written reaches exactly the members of each server that has it, once and in order; nobody is seen
// twice; and when it is calm again, every server knows who is in. LIB_SEEDS says how many seeds, LIB_SEED which first.
import { type Broadcasted, Member, Party } from './party'
import { World } from './world'

const SEEDS = Number(process.env.LIB_SEEDS ?? 300)
const FIRST = Number(process.env.LIB_SEED ?? 1)
const SERVERS = ['a', 'b', 'c', 'd'] as const
const ROOMS = ['red', 'green', 'blue'] as const
const KEYS = ['ann', 'bob', 'eve', undefined] as const
const STORM = 30_000
/** Within so many ms after the last disturbance everybody knows the truth. */
const CONVERGED = 5000
/** A server that is silent for so many ms is taken for away, if nobody tells of its end. */
const SILENCE = 4000
/** A killed server's members are stale, and gone, within so many ms; a link may be slow to tell. */
const [STALE, GONE] = [1000, 5000]

class Story {
  readonly world: World
  readonly parties = new Map<string, Party>()
  readonly broadcasts: Broadcasted[] = []
  readonly everybody = new Map<string, Member>()
  readonly #failures: unknown[] = []
  readonly #options: Party['options']
  /** When a server has begun last. */
  readonly #started = new Map<string, number>()
  /** How long a server may still be taken for alive when everybody is back, in ms. */
  #silence = 0
  /** Until when a server is disturbed. */
  readonly #disturbed = new Map<string, number>()

  constructor(seed: number) {
    this.world = new World(seed)
    const { chance } = this.world
    this.#options = {
      presence: chance.below(10) > 0,
      leaveDelay: chance.below(4) === 0 ? chance.below(3000) : 0,
      slowMember: chance.pick(['close', 'drop'] as const),
    }
  }

  async run(): Promise<void> {
    const { world } = this
    for (const id of SERVERS.slice(0, 2 + world.chance.below(3))) this.#start(id)
    while (world.now < STORM) {
      this.#act()
      await world.runUntil(world.now + 1 + world.chance.below(300))
    }
    // What froze and was cut is back.
    await world.runUntil(Math.max(world.now, ...this.#disturbed.values()) + this.#silence)
    this.#calm()
    await world.runUntil(world.now + CONVERGED + this.#options.leaveDelay)
    this.#checkPresence()
    await this.#checkBroadcasts()
    // What was given up in the storm has been closed by now, and nothing waits for it.
    await world.runUntil(world.now + 20_000)
    this.#checkRest()
  }

  #start(id: string): void {
    this.#started.set(id, this.world.now)
    const party = new Party(this.world, id, this.#options, this.broadcasts, this.everybody)
    this.parties.set(id, party)
    for (const room of ROOMS) if (this.world.chance.below(3) > 0) party.look(room)
  }

  #act(): void {
    const { chance } = this.world
    const parties = [...this.parties.values()].filter(({ process }) => process.frozenUntil <= this.world.now)
    if (parties.length === 0) return
    const party = chance.pick(parties)
    const members = [...party.members]
    const what = chance.below(100)
    if (what < 20 || members.length === 0) this.#enter(party)
    else if (what < 70) this.#actAs(party, chance.pick(members))
    else if (what < 90) this.#write(party)
    else this.#disturb(party)
  }

  #enter(party: Party): void {
    const { chance } = this.world
    const member = new Member(party)
    party.members.add(member)
    this.everybody.set(member.id, member)
    party.join(member, chance.pick(ROOMS), chance.pick(KEYS), this.#data())
  }

  #actAs(party: Party, member: Member): void {
    const { chance } = this.world
    const room = chance.pick(ROOMS)
    const what = chance.below(8)
    if (what < 2) party.join(member, room, chance.pick(KEYS), this.#data())
    else if (what === 2) party.update(member, room, this.#data())
    else if (what === 3) party.leave(member, room)
    else if (what === 4) member.enter(member.state === 'ready' ? 'disconnected' : 'ready')
    else if (what === 5) member.enter('closed')
    else if (what === 6) member.isFull = !member.isFull
    else party.look(room)
  }

  #write(party: Party): void {
    const { world } = this
    const { chance } = world
    const rooms = [...new Set([chance.pick(ROOMS), chance.pick(ROOMS)])]
    const members = [...this.parties.values()].flatMap(({ members }) => [...members])
    const except = [`room:${chance.pick(ROOMS)}`, ...(members.length > 0 ? [chance.pick(members).id] : [])]
    const isClosing = chance.below(20) === 0
    if (isClosing) party.rooms.closeAll({ rooms, except, isLocal: chance.below(2) === 0 })
    else {
      const audience = { rooms, except: except.slice(chance.below(3)), isLocal: chance.below(5) === 0 }
      if (chance.below(8) === 0) party.ask(audience).catch(error => this.#failures.push(error))
      else {
        // Often more at once than a window has room for.
        const isBurst = chance.below(6) === 0 && world.now < STORM - 5000
        const count = isBurst ? 1 + chance.below(60) : 1
        for (let i = 0; i < count; i++) party.write(audience, chance.below(3) === 0)
      }
    }
  }

  #disturb(party: Party): void {
    const { chance } = this.world
    const what = chance.below(6)
    if (what === 0) this.#kill(party)
    else if (what === 1) this.#exit(party)
    else if (what === 2) this.#freeze(party)
    else if (what === 3) this.#split(party)
    else if (what === 4) this.#isolate(party)
    else {
      const missing = SERVERS.filter(id => !this.parties.has(id))
      if (missing.length > 0) this.#start(chance.pick(missing))
    }
  }

  #kill(party: Party): void {
    const { world } = this
    const killed = world.now
    const lost = new Set([...party.members].map(({ id }) => id))
    this.#noteDisturbed(party.id, killed)
    this.parties.delete(party.id)
    party.process.kill()
    this.#noteEnd()
    if (world.chance.below(2) === 0)
      world.after(world.chance.below(world.chance.pick([3, 100, 3000])), undefined, () =>
        this.#startAgain(party.id),
      )
    for (const [after, isGone] of [
      [STALE, false],
      [GONE, true],
    ] as const) {
      world.after(after + 1, undefined, () => {
        // One that has come back has had a new link, which says who is in a moment later; or its own end does.
        if (!isGone && (this.#started.get(party.id) ?? 0) >= killed) return
        for (const other of this.parties.values()) {
          if ([party.id, other.id].some(id => (this.#disturbed.get(id) ?? 0) > killed)) continue
          for (const room of other.watched.values()) {
            for (const { sockets, stale, key } of room.members.values()) {
              const dead = sockets.filter(({ id }) => lost.has(id))
              if (dead.length > 0 && (isGone || (dead.length === sockets.length && !stale)))
                throw new Error(`${key} of ${party.id} is still seen by ${other.id} after ${after} ms`)
            }
          }
        }
      })
    }
  }

  /** Nobody tells of an end those who are cut off or frozen: they wait for a sign of life when they are back. */
  #noteEnd(): void {
    const { cuts, now } = this.world
    const isHidden =
      cuts.size > 0 || [...this.parties.values()].some(({ process }) => process.frozenUntil > now)
    if (isHidden) this.#silence = SILENCE
  }

  #startAgain(id: string): void {
    if (!this.parties.has(id)) this.#start(id)
  }

  #exit(party: Party): void {
    this.#noteEnd()
    this.parties.delete(party.id)
    for (const member of [...party.members]) member.enter('closed')
    party.rooms.close()
    // What it has said leaves with it.
    this.world.after(100, undefined, () => party.process.kill())
  }

  #freeze({ id, process }: Party): void {
    process.frozenUntil = this.world.now + this.world.chance.below(12_000)
    this.#noteDisturbed(id, process.frozenUntil)
  }

  /** Two servers do not reach each other for a while. */
  #split({ id }: Party): void {
    const { world } = this
    const other = world.chance.pick(SERVERS)
    if (other === id) return
    const until = world.now + world.chance.below(15_000)
    world.cut(id, other, true)
    for (const one of [id, other]) this.#noteDisturbed(one, until)
    world.after(until - world.now, undefined, () => world.cut(id, other, false))
  }

  /** A server's client loses its connection, and comes back. */
  #isolate({ id, process }: Party): void {
    const { world } = this
    const until = world.now + world.chance.below(15_000)
    this.#noteDisturbed(id, until)
    for (const other of SERVERS) if (other !== id) world.cut(id, other, true)
    world.after(until - world.now, undefined, () => {
      for (const other of SERVERS) if (other !== id) world.cut(id, other, false)
      world.after(0, process, () => process.handleInbox())
    })
  }

  /** It and its links are not what they should be until then, and a little longer. */
  #noteDisturbed(id: string, until: number): void {
    this.#disturbed.set(id, Math.max(this.#disturbed.get(id) ?? 0, until))
  }

  #calm(): void {
    const { world } = this
    world.isStormy = false
    for (const { members } of this.parties.values()) for (const member of members) member.isFull = false
    for (const id of ['a', 'b'] as const) if (!this.parties.has(id)) this.#start(id)
  }

  #data(): unknown {
    return this.world.chance.below(1000)
  }

  /** What every server should see: of each key, the sockets and the data of the newest. */
  #expected(room: string, only: Party | undefined): object {
    const rows = [...this.parties.values()]
      .filter(party => only === undefined || party === only)
      .flatMap(party => party.truth.filter(row => row.room === room))
      .sort((one, other) => one.is.since - other.is.since)
    const members: Record<string, { data: unknown; sockets: string[]; stale: boolean }> = {}
    for (const { member, is } of rows) {
      const known = (members[is.key] ??= { data: undefined, sockets: [], stale: true })
      known.data = is.data
      known.sockets.push(`${member.id} at ${member.party.id}`)
      known.stale &&= member.state !== 'ready'
    }
    return members
  }

  #checkPresence(): void {
    for (const party of this.parties.values()) {
      for (const name of ROOMS) {
        party.look(name)
        const seen = Object.fromEntries(
          Array.from(party.watched.get(name)!.members, ([key, { data, sockets, stale }]) => [
            key,
            { data, sockets: sockets.map(({ id, server }) => `${id} at ${server}`), stale },
          ]),
        )
        const expected = this.#expected(name, this.#options.presence ? undefined : party)
        expect({ [`${name} at ${party.id}`]: seen }).toEqual({ [`${name} at ${party.id}`]: expected })
      }
    }
  }

  /** In calm, what anybody writes reaches every server. */
  async #checkBroadcasts(): Promise<void> {
    const { world } = this
    const from = this.broadcasts.length
    for (const party of this.parties.values())
      party.write({ rooms: [...ROOMS], except: [], isLocal: false }, true)
    // And whom anybody asks answers.
    const members = [...this.parties.values()].flatMap(({ members }) => [...members])
    const present = members.filter(({ rooms }) => rooms.size > 0).map(({ id }) => id)
    const answers: unknown[] = []
    for (const party of this.parties.values()) {
      const asked = party.ask({ rooms: [...ROOMS], except: [], isLocal: false })
      asked.then(
        ({ answered, failed }) => answers.push([[...answered].sort(), failed, party.id]),
        error => this.#failures.push(error),
      )
    }
    await world.runUntil(world.now + 3000)
    await new Promise(setImmediate)
    for (const party of this.parties.values()) expect(answers).toContainEqual([present.sort(), 0, party.id])
    for (const { from: party, arrivedAt } of this.broadcasts.slice(from)) {
      expect([party.id, [...arrivedAt].map(({ id }) => id).sort()]).toEqual([
        party.id,
        [...this.parties.keys()].sort(),
      ])
    }
  }

  #checkRest(): void {
    const count = this.parties.size
    expect(this.#failures).toEqual([])
    for (const party of this.parties.values()) party.checkSent()
    expect([...this.parties.values()].map(({ unsettled }) => unsettled)).toEqual(Array(count).fill(0))
    expect([...this.world.links].map(({ unacked }) => unacked).filter(left => left > 0)).toEqual([])
    expect(this.world.links.size).toBe(count * (count - 1))
  }
}

test(`rooms of servers that crash, freeze and lose each other, ${SEEDS} seeds`, async () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    try {
      await new Story(seed).run()
    } catch (error) {
      ;(error as Error).message = `seed ${seed}: ${(error as Error).message}`
      throw error
    }
  }
})
