// The nodes of a cluster, as each hears of the others. No I/O; times are passed in.

/** Milliseconds of silence until a node is taken for gone. */
const MAX_SILENCE = 30_000
/** Nodes that are remembered: anybody who may publish here can say that they are one. */
const MAX_NODES = 4096

interface Heard {
  /** Which life of the node: one that comes back under its name has another. Not known before it has said so. */
  epoch: unknown
  at: number
}

export class Nodes {
  readonly #heard = new Map<string, Heard>()

  constructor(readonly own: string) {}

  /** A node says that it is there. Returns whether that was new. */
  handleHere(now: number, node: string, epoch: unknown): boolean {
    const before = this.#heard.get(node)
    if (before === undefined && this.#heard.size >= MAX_NODES) return false
    this.#heard.set(node, { epoch, at: now })
    return before?.epoch !== epoch
  }

  /** A node has called or answered: also one whose announcement did not come through. */
  handleWord(now: number, node: string): void {
    const heard = this.#heard.get(node)
    if (heard !== undefined) heard.at = now
    else if (this.#heard.size < MAX_NODES && node !== this.own) {
      this.#heard.set(node, { epoch: undefined, at: now })
    }
  }

  /** A node is gone. */
  remove(node: string): void {
    this.#heard.delete(node)
  }

  /** Returns those that are there, this one included. */
  present(now: number): string[] {
    for (const [node, { at }] of this.#heard) if (now - at > MAX_SILENCE) this.#heard.delete(node)
    const others = [...this.#heard.keys()].filter(node => node !== this.own)
    return [...others, this.own]
  }
}
