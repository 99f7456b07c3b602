// One direction of one connection: reads bytes from one side, and writes them to the other as the faults say.
import type { Socket } from 'node:net'
import type { Faults } from '../../types/testing'
import type { Random } from './random'

/** What all connections share, for one direction. */
export interface Lane {
  readonly faults: Faults
  /** Nothing passes. What has arrived waits, as TCP would repeat it when the network is back. */
  isHeld: boolean
  /** The number of next pieces in which to flip a bit. */
  flips: number
  readonly passed: { bytes: number; flipped: number; resets: number }
}

interface Piece {
  bytes: Buffer
  due: number
}

/** Bytes that a pipe queues before it stops reading. */
const MAX_HELD_BYTES = 1024 * 1024
/** The same in pieces, which may be single bytes. */
const MAX_PIECES = 4096
/** Milliseconds of limited bandwidth that one piece uses at most. */
const BANDWIDTH_STEP = 20

export class Pipe {
  readonly #source: Socket
  readonly #sink: Socket
  readonly #lane: Lane
  readonly #random: Random
  readonly #reset: () => void
  readonly #pieces: Piece[] = []
  #held = 0
  /** When the last piece is due: later ones are never earlier. */
  #last = 0
  /** When the bandwidth allows the next byte. */
  #free = 0
  #timer: NodeJS.Timeout | undefined
  #turn: NodeJS.Immediate | undefined
  #isEnding = false
  #isDone = false

  constructor(source: Socket, sink: Socket, lane: Lane, random: Random, reset: () => void) {
    this.#source = source
    this.#sink = sink
    this.#lane = lane
    this.#random = random
    this.#reset = reset
    source.on('data', chunk => this.#take(chunk))
    source.once('end', () => {
      this.#isEnding = true
      this.pump()
    })
    sink.on('drain', () => this.pump())
  }

  /** Ends the sink; no more bytes are written to it. */
  halfClose(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#drop()
    this.#sink.end()
    // Continue reading and discard, so that the other end of the source is not blocked.
    this.#source.resume()
  }

  /** Stops for good, without telling either side. */
  stop(): void {
    this.#isDone = true
    this.#drop()
  }

  /** Writes what is due. */
  pump(): void {
    this.#unschedule()
    if (this.#isDone || this.#lane.isHeld) return
    while (this.#pieces.length > 0) {
      if (this.#sink.writableNeedDrain) return
      const piece = this.#pieces[0] as Piece
      const wait = piece.due - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(wait))
        return
      }
      this.#pieces.shift()
      this.#held -= piece.bytes.length
      if (!this.#pass(piece.bytes)) return
      // Pieces written in one turn would be merged.
      if (this.#lane.faults.slice && this.#pieces.length > 0) {
        this.#turn = setImmediate(() => this.pump())
        return
      }
    }
    if (this.#source.isPaused() && this.#hasRoom()) this.#source.resume()
    if (this.#isEnding) this.halfClose()
  }

  #take(chunk: Buffer): void {
    if (this.#isDone) return
    for (let start = 0; start < chunk.length; ) {
      const end = Math.min(chunk.length, start + this.#sizeOfNext())
      this.#pieces.push({ bytes: chunk.subarray(start, end), due: this.#dueOf(end - start) })
      start = end
    }
    this.#held += chunk.length
    if (!this.#hasRoom()) this.#source.pause()
    this.pump()
  }

  #hasRoom(): boolean {
    return this.#held < MAX_HELD_BYTES && this.#pieces.length < MAX_PIECES
  }

  #sizeOfNext(): number {
    const { slice, bandwidth } = this.#lane.faults
    const most = bandwidth ? Math.max(1, Math.floor((bandwidth * BANDWIDTH_STEP) / 1000)) : Infinity
    return Math.min(most, slice ? 1 + this.#random.below(slice) : Infinity)
  }

  #dueOf(bytes: number): number {
    const { latency = 0, jitter = 0, bandwidth } = this.#lane.faults
    const now = performance.now()
    let due = now + latency + jitter * this.#random.next()
    if (bandwidth) {
      this.#free = Math.max(this.#free, now) + (bytes * 1000) / bandwidth
      due = Math.max(due, this.#free)
    }
    this.#last = Math.max(this.#last, latency || jitter || bandwidth ? due : 0)
    return this.#last
  }

  /** Returns whether the connection is still open. */
  #pass(bytes: Buffer): boolean {
    const { flip = 0, reset = 0 } = this.#lane.faults
    const { passed } = this.#lane
    if (reset > 0 && this.#random.next() < reset) {
      passed.resets += 1
      this.#reset()
      return false
    }
    const chances = flip > 0 ? chancesWithin(bytes.length, flip, this.#random) : []
    if (this.#lane.flips > 0) {
      this.#lane.flips -= 1
      chances.push(this.#random.below(bytes.length))
    }
    for (const at of chances) bytes[at] = (bytes[at] as number) ^ (1 << this.#random.below(8))
    passed.flipped += chances.length
    passed.bytes += bytes.length
    this.#sink.write(bytes)
    return true
  }

  #unschedule(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#turn)
  }

  #drop(): void {
    this.#unschedule()
    this.#pieces.length = 0
    this.#held = 0
  }
}

/** Returns the positions below `length` that are hit, each with probability `chance`. */
function chancesWithin(length: number, chance: number, random: Random): number[] {
  const struck: number[] = []
  if (chance >= 1) return Array.from({ length }, (_, at) => at)
  // The gaps between hits are geometric: one random number for each hit, not for each byte.
  const gap = (): number => Math.floor(Math.log(1 - random.next()) / Math.log(1 - chance))
  for (let at = gap(); at < length; at += 1 + gap()) struck.push(at)
  return struck
}
