// Lines of code that is being generated: names are counted, and runs of bytes share one check for room.

export class Source {
  readonly #lines: string[] = []
  #names = 0
  /** The run that is open: where its check stands, and how far it goes. */
  #run: { line: number; most: number; done: number } | undefined
  /** Above 0: what follows was checked for room already. */
  #isChecked = 0

  constructor(
    /** What a check does when there is no room. */
    readonly refusal: string,
  ) {}

  /** Returns a name that is used nowhere else. Names never come from a schema. */
  name(letter: string): string {
    this.#names += 1
    return `${letter}${this.#names}`
  }

  add(...lines: string[]): void {
    this.#lines.push(...lines)
  }

  /** Returns the place of the next `size` bytes, as `p + 3`. */
  place(size: number): string[] {
    this.#run ??= this.#begin()
    const { done } = this.#run
    this.#run.done += size
    this.#run.most += size
    return Array.from({ length: size }, (_, index) => (done + index === 0 ? 'p' : `p + ${done + index}`))
  }

  /** Makes room for at most `size` bytes at `p`, for code that moves `p` itself. */
  reserve(size: number): void {
    this.#run ??= this.#begin()
    this.#run.most += size
    this.#advance()
  }

  /** Ends the run: before `p` is used, and before a block begins or ends. */
  flush(): void {
    if (this.#run === undefined) return
    this.#advance()
    const { line, most } = this.#run
    this.#run = undefined
    if (this.#isChecked === 0) this.#lines[line] = `if (end - p < ${most}) ${this.refusal}`
  }

  /** A block in braces, which `inside` fills. */
  block(head: string, inside: () => void): void {
    this.flush()
    this.add(`${head} {`)
    inside()
    this.flush()
    this.add('}')
  }

  /** The same, where the room was checked before. */
  checked(head: string, inside: () => void): void {
    this.flush()
    this.#isChecked += 1
    this.block(head, inside)
    this.#isChecked -= 1
  }

  toString(): string {
    this.flush()
    return this.#lines.filter(line => line !== '').join('\n')
  }

  #begin(): { line: number; most: number; done: number } {
    this.#lines.push('')
    return { line: this.#lines.length - 1, most: 0, done: 0 }
  }

  #advance(): void {
    if (this.#run === undefined || this.#run.done === 0) return
    this.add(`p += ${this.#run.done}`)
    this.#run.done = 0
  }
}

/** Returns a key as a literal of JavaScript. */
export function literal(key: string): string {
  return JSON.stringify(key).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
}
