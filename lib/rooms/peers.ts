// The other servers of a listener: how they are found, and the socket to each.
import { type Hello, Hellos } from './hellos'
import type { Link, LinkServer, RoomHost } from './host'
import { LinkQueue, Said } from './link-queue'
import { type Change, decodePeer, entryOf, type PeerMessage, type Row, rowOf } from './messages'
import { MAX_ENTRIES, MAX_TABLE_BYTES } from './options'
import { type Entry, Table } from './table'

/** How long the first answer of a server that has said hello is waited for, in ms. */
const REACH_WITHIN = 10_000
/** About the bytes of one piece of a table, or of changes. */
const PIECE = 256 * 1024
/** Of what one message may have, a piece takes so little that it fits with another row, whatever its characters take. */
const PIECES_IN_MESSAGE = 8
/** Changes within this time leave together, in ms. */
const COALESCE = 5
/** Links that one server may have here: the one in use, those it has lost and has not, and those that come. */
const LINKS_FOR_EACH = 4
/** What a link waits for a server that is away, in ms, and how long a silent one counts as there. */
const LINK_OPTIONS = { resumeTimeout: 4000, keepAlive: 2000, keepAliveTimeout: 2000, maxQueueSize: 1000 }

type Timer = ReturnType<RoomHost['after']>

/** Another server: one process of it, as far as it says which. */
export interface Peer {
  readonly id: string
  /** Which process it is; nothing of a server that does not tell. */
  readonly instance: number | undefined
  readonly link: Link
  readonly queue: LinkQueue
  table: Table
  /** The table that is arriving. */
  coming: Table
  /** Whether its whole table has come; until then it has the one of the link before. */
  isKnown: boolean
  isAway: boolean
  /** When its link, or the one before, has ended in silence; in ms since 1970. */
  awaySince: number
  /** Whether another process has its id now. */
  isReplaced: boolean
}

/** Whoever keeps the rooms. */
export interface PeersOwner {
  /** All that is here, for a new peer. */
  entries(): Iterable<[room: string, entry: Entry]>
  /** A peer's whole table has come, in the place of what was known of it; or was lost with the link before. */
  handleTable(peer: Peer, before: Table, isLost: boolean): void
  handleChanges(peer: Peer, changes: readonly Change[]): void
  handlePresence(peer: Peer): void
  /** It has gone: in order, or not. */
  handlePeerGone(peer: Peer, isOrderly: boolean): void
  /** Its link is closed; a newer one may have taken its place. What waits for an answer on it waits no more. */
  handleLinkClosed(peer: Peer): void
  /** So many broadcasts to a server are not known to have arrived. */
  handleUndelivered(id: string, undelivered: number): void
  handleMessage(peer: Peer, message: PeerMessage): void
}

export class Peers {
  readonly #host: RoomHost
  readonly #owner: PeersOwner
  readonly #max: number
  readonly #subject: string
  readonly #all = new Map<string, Peer>()
  /** Links that connect, by the id of the server. */
  readonly #reaching = new Map<string, Link>()
  /** Links whose other side has not said who it is. */
  readonly #unnamed = new Set<Link>()
  /** Links that were closed here while this server goes on. */
  readonly #givenUp = new WeakSet<Link>()
  readonly #hellos: Hellos
  /** What tells this process from another one with the same id; greater than that of one that began before. */
  readonly #instance: number
  #server: LinkServer | undefined
  #changes: Change[] = []
  #changeBytes = 0
  #changeTimer: Timer | undefined
  #isClosed = false

  constructor(host: RoomHost, owner: PeersOwner, max: number) {
    this.#host = host
    this.#owner = owner
    this.#max = max
    // A pattern has no subject of its own to be published to.
    const tokens = host.subject.split('.').map(token => (token === '*' ? '-' : token))
    this.#subject = `${tokens.join('.')}.server.rooms`
    this.#instance = instanceAt(host.now(), host.random())
    this.#hellos = new Hellos(host, this.#subject, this.#instance, hello => this.#hear(hello))
    host.soon(() => this.#open())
  }

  [Symbol.iterator](): Iterator<Peer> {
    return this.#all.values()
  }

  get size(): number {
    return this.#all.size
  }

  /**
   * Says something to one of them, as soon as its link takes it. One for which too much waits is given up: it is told
   * everything when it is back.
   */
  say(peer: Peer, message: PeerMessage): void {
    this.#flushChanges()
    peer.queue.say(new Said(message))
  }

  sayAll(message: PeerMessage): void {
    this.#flushChanges()
    this.#sayAll(new Said(message))
  }

  #sayAll(said: Said): void {
    for (const { queue } of [...this.#all.values()]) queue.say(said)
  }

  /** Tells all of a change of about this size, together with others of these milliseconds. */
  change(change: Change, size: number): void {
    if (this.#all.size === 0) return
    if (this.#changeBytes > this.#piece) this.#flushChanges()
    this.#changes.push(change)
    this.#changeBytes += size
    this.#changeTimer ??= this.#host.after(COALESCE, () => this.#flushChanges())
  }

  /** Resolves when the others have handled what they were told, as far as they are there. */
  async whenHandled(): Promise<void> {
    this.#flushChanges()
    await Promise.all(Array.from(this.#all.values(), ({ queue }) => queue.whenHandled()))
  }

  close(): void {
    if (this.#isClosed) return
    this.#flushChanges()
    this.#isClosed = true
    this.#hellos.close()
    this.#server?.close()
    for (const link of [...this.#reaching.values(), ...this.#unnamed]) link.close()
    for (const { link } of this.#all.values()) link.close()
    this.#all.clear()
  }

  #open(): void {
    if (this.#isClosed) return
    const { fabric, id } = this.#host
    const host = this.#host
    const server = fabric.socket.listen(`${this.#subject}.${id}`, {
      ...LINK_OPTIONS,
      maxSockets: LINKS_FOR_EACH * this.#max,
    })
    this.#server = server
    server.unref()
    server.isOwned = true
    server.on('connection', link => {
      this.#unnamed.add(link)
      host.after(REACH_WITHIN, () => this.#unnamed.has(link) && cut(link))
      link.unref()
      this.#attend(link, undefined)
    })
    void this.#hellos.open()
  }

  #hear({ id, instance }: Hello): void {
    const own = this.#host.id
    if (id === own || this.#isClosed) return
    const known = this.#all.get(id)
    if (known !== undefined && isNewer(instance, known.instance)) this.#replace(known)
    // One that is away and says hello has begun anew, or does not know that it was away.
    else if (known?.isAway === false) return
    if (this.#reaching.has(id)) return
    if (own > id) {
      // It connects to us, once it has heard of us.
      this.#hellos.say()
      return
    }
    if (this.#all.size + this.#reaching.size < this.#max) this.#reach(id)
  }

  #reach(id: string): void {
    let link: ReturnType<RoomHost['fabric']['socket']['connect']>
    try {
      link = this.#host.fabric.socket.connect(`${this.#subject}.${id}`, LINK_OPTIONS)
    } catch {
      // A name that no server has, or the client is closing.
      return
    }
    link.unref()
    this.#reaching.set(id, link)
    this.#attend(link, id)
    // One that has not said who it is, and is away, has nothing to come back to; it may have begun anew, and say hello.
    link.on('disconnected', () => this.#reaching.get(id) === link && cut(link))
    link.waitUntilReady(REACH_WITHIN).catch(() => cut(link))
  }

  /** Listens to a link, and introduces this server. */
  #attend(link: Link, id: string | undefined): void {
    let peer: Peer | undefined
    const queue = new LinkQueue(link, this.#host.maxWaiting, isFull => this.#giveUp({ link, queue }, isFull))
    link.isOwned = true
    link.on('data', (data: unknown) => {
      const message = decodePeer(data)
      if (message === undefined || this.#isClosed) return
      if (peer !== undefined) this.#handle(peer, message)
      else if (message.kind === 'hello') peer = this.#name(queue, message, id)
    })
    link.on('closed', (reason: { code: unknown } | undefined) => {
      queue.end()
      this.#unnamed.delete(link)
      if (id !== undefined && this.#reaching.get(id) === link) this.#reaching.delete(id)
      if (peer === undefined) return
      const isOrderly = reason?.code === 'ERR_SOCKET_CLOSED_BY_PEER'
      const isGone = this.#all.get(peer.id) === peer
      // This client ends, or its broker: that tells nothing of the other server.
      const isOwnEnd = isGone && this.#isEndOfOwn(link, reason?.code)
      this.#owner.handleLinkClosed(peer)
      const { undelivered } = queue
      if (undelivered > 0 || peer.isReplaced || (isGone && !isOrderly && !isOwnEnd))
        this.#owner.handleUndelivered(peer.id, undelivered)
      if (!isGone) return
      this.#all.delete(peer.id)
      if (isOwnEnd) return
      this.#owner.handlePeerGone(peer, isOrderly)
      if (!isOrderly) this.#hellos.seek()
    })
    const note = (isAway: boolean) => (): void => {
      if (peer === undefined || peer.isAway === isAway) return
      peer.isAway = isAway
      if (isAway) {
        peer.awaySince = this.#host.now()
        this.#forgetBefore(peer)
      }
      this.#owner.handlePresence(peer)
    }
    link.on('disconnected', note(true))
    link.on('ready', note(false))
    queue.say(new Said({ kind: 'hello', id: this.#host.id, instance: this.#instance }))
  }

  #isEndOfOwn(link: Link, code: unknown): boolean {
    return code === 'ERR_BROKER_CLOSED' || (code === undefined && !this.#givenUp.has(link))
  }

  /** Another process has the id of this one, which is dead: its members have gone with it. */
  #replace(peer: Peer): void {
    peer.isReplaced = true
    this.#all.delete(peer.id)
    this.#owner.handlePeerGone(peer, false)
    cut(peer.link)
  }

  /** The other side has said who it is. A newer link takes the place of one that is dead and not known to be. */
  #name(queue: LinkQueue, { id, instance }: Hello, expected: string | undefined): Peer | undefined {
    const { link } = queue
    this.#unnamed.delete(link)
    this.#reaching.delete(id)
    const known = this.#all.get(id)
    const isWrong = id === this.#host.id || (expected !== undefined && expected !== id)
    // What a process that is dead by now had said comes late.
    const isLate = known?.isAway === false && isNewer(known.instance, instance)
    if (isWrong || isLate || (known === undefined && this.#all.size >= this.#max)) {
      cut(link)
      return undefined
    }
    if (known !== undefined && known.instance !== instance) this.#replace(known)
    const old = this.#all.get(id)
    const peer: Peer = {
      id,
      instance,
      link,
      queue,
      table: old?.table ?? new Table(),
      coming: new Table(),
      isKnown: false,
      isAway: link.state !== 'ready',
      awaySince: this.#host.now(),
      isReplaced: false,
    }
    if (old?.isAway) {
      // Who was with it before is not waited for longer than without a newer link.
      const left = old.awaySince + LINK_OPTIONS.resumeTimeout - this.#host.now()
      this.#host.after(Math.max(0, left), () => this.#forgetBefore(peer))
    }
    // Flushes changes first: they are in the table.
    this.#sendTable(queue)
    this.#all.set(id, peer)
    if (old !== undefined) cut(old.link)
    return peer
  }

  #handle(peer: Peer, message: PeerMessage): void {
    if (message.kind === 'table') {
      for (const row of message.rows) peer.coming.set(row[0], entryOf(row))
      if (isTooLarge(peer.coming)) {
        this.#giveUp(peer)
        return
      }
      if (!message.isLast) return
      const { coming } = peer
      peer.coming = new Table()
      peer.isKnown = true
      this.#replaceTable(peer, coming, false)
    } else if (message.kind === 'changes') {
      this.#owner.handleChanges(peer, message.changes)
      if (isTooLarge(peer.table)) this.#giveUp(peer)
    } else this.#owner.handleMessage(peer, message)
  }

  /** Forgets what the link before has left, if nothing newer is known. */
  #forgetBefore(peer: Peer): void {
    if (!peer.isKnown && this.#all.get(peer.id) === peer) this.#replaceTable(peer, new Table(), true)
  }

  #replaceTable(peer: Peer, table: Table, isLost: boolean): void {
    const before = peer.table
    peer.table = table
    this.#owner.handleTable(peer, before, isLost)
  }

  /** Sends all that is here. What is to be told of changes is in it. */
  #sendTable(queue: LinkQueue): void {
    this.#flushChanges()
    const piece = this.#piece
    let rows: Row[] = []
    let bytes = 0
    const send = (isLast: boolean): void => {
      queue.say(new Said({ kind: 'table', rows, isLast }))
      rows = []
      bytes = 0
    }
    for (const [room, entry] of this.#owner.entries()) {
      rows.push(rowOf(room, entry))
      bytes += entry.size
      if (rows.length >= this.#host.rowsAtOnce || bytes > piece) send(false)
    }
    send(true)
  }

  get #piece(): number {
    return Math.min(PIECE, this.#host.maxMessageBytes / PIECES_IN_MESSAGE)
  }

  #flushChanges(): void {
    this.#changeTimer?.stop()
    this.#changeTimer = undefined
    const changes = this.#changes
    if (changes.length === 0) return
    this.#changes = []
    this.#changeBytes = 0
    this.#sayAll(new Said({ kind: 'changes', changes }))
  }

  /** The two begin anew: what it says, or what waits for it, is too much. `isToHaveTheRest`: it may handle what it has. */
  #giveUp({ link, queue }: Pick<Peer, 'link' | 'queue'>, isToHaveTheRest = false): void {
    if (this.#givenUp.has(link)) return
    this.#givenUp.add(link)
    queue.end()
    const end = (): void => cut(link)
    if (!isToHaveTheRest) end()
    else link.drain({ timeout: LINK_OPTIONS.resumeTimeout }).then(end, end)
  }
}

/** Ends a link while this server goes on. Only that of a server that leaves is closed in order: so the others know. */
function cut(link: Link): void {
  link.destroy(Error('the link is no longer used'))
}

/** Whether a table has more than any server may have. */
function isTooLarge({ size, bytes }: Table): boolean {
  return size > MAX_ENTRIES || bytes > MAX_TABLE_BYTES
}

/** The number of a process that begins at this time, in µs since 1970: chance tells those of one ms from each other. */
function instanceAt(now: number, chance: number): number {
  return Math.floor((now + chance) * 1000)
}

/** Whether a process has begun behind another one of the same id; one that tells its number, behind one that does not. */
function isNewer(one: number | undefined, other: number | undefined): boolean {
  return one !== undefined && (other === undefined || one > other)
}
