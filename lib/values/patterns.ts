// Maps patterns to values and finds those that a subject matches: a trie of tokens, so that not every pattern
// is tried.
import { FabricError, shown } from './errors'
import { faultOf, isValidSubject, isValidSubjectWithoutWildcards } from './subjects'

/** The next token. A Map and not an object, since a token may be called `__proto__`. */
interface Node<T> {
  readonly next: Map<string, Node<T>>
  /** The pattern that ends at this node. */
  entry: { readonly pattern: string; value: T } | undefined
}

/** A map with one value for each pattern. */
export class Patterns<T = unknown> implements Iterable<[pattern: string, value: T]> {
  #root: Node<T> = newNode()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** A copy: patterns to values. */
  get patterns(): Record<string, T> {
    // Creates an own property even for `__proto__`.
    return Object.fromEntries(this)
  }

  set(pattern: string, value: T): this {
    if (!isValidSubject(pattern)) {
      const text = `invalid subject '${shown(pattern)}': ${faultOf(pattern)}`
      throw new FabricError(text, 'ERR_INVALID_SUBJECT')
    }
    let node = this.#root
    for (const token of pattern.split('.')) {
      let next = node.next.get(token)
      if (next === undefined) node.next.set(token, (next = newNode()))
      node = next
    }
    if (node.entry === undefined) {
      this.#size += 1
      node.entry = { pattern, value }
    } else node.entry.value = value
    return this
  }

  get(pattern: string): T | undefined {
    return this.#find(pattern)?.entry?.value
  }

  hasPattern(pattern: string): boolean {
    return this.#find(pattern)?.entry !== undefined
  }

  /** Removes a pattern, and branches that lead nowhere. Returns whether it was there. */
  delete(pattern: string): boolean {
    const path: { node: Node<T>; token: string }[] = []
    let node: Node<T> | undefined = this.#root
    for (const token of String(pattern).split('.')) {
      path.push({ node, token })
      node = node.next.get(token)
      if (node === undefined) return false
    }
    if (node.entry === undefined) return false
    node.entry = undefined
    this.#size -= 1
    for (let last = path.pop(); last !== undefined; last = path.pop()) {
      if (node.entry !== undefined || node.next.size > 0) break
      last.node.next.delete(last.token)
      node = last.node
    }
    return true
  }

  clear(): void {
    this.#root = newNode()
    this.#size = 0
  }

  /** Returns the patterns that `subject` matches. */
  matches(subject: string): string[] {
    const found: string[] = []
    this.#visit(subject, pattern => {
      found.push(pattern)
      return false
    })
    return found
  }

  hasMatch(subject: string): boolean {
    return this.#visit(subject, () => true)
  }

  /** Returns the content as plain data, for `deserialize`. */
  serialize(): { patterns: Record<string, T> } {
    return { patterns: this.patterns }
  }

  /** Replaces the content with what another map has serialized. */
  deserialize(state: { patterns: Record<string, T> }): void {
    const fresh = new Patterns<T>()
    for (const [pattern, value] of Object.entries(state.patterns)) fresh.set(pattern, value)
    this.#root = fresh.#root
    this.#size = fresh.#size
  }

  *[Symbol.iterator](): IterableIterator<[pattern: string, value: T]> {
    const open = [this.#root]
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.entry !== undefined) yield [node.entry.pattern, node.entry.value]
      open.push(...node.next.values())
    }
  }

  #find(pattern: string): Node<T> | undefined {
    let node: Node<T> | undefined = this.#root
    for (const token of String(pattern).split('.')) {
      node = node.next.get(token)
      if (node === undefined) return undefined
    }
    return node
  }

  /** Visits level by level, without recursion. Returns whether `visit` stopped it by returning `true`. */
  #visit(subject: string, visit: (pattern: string) => boolean): boolean {
    if (!isValidSubjectWithoutWildcards(subject)) return false
    let level = [this.#root]
    for (const token of subject.split('.')) {
      const below: Node<T>[] = []
      for (const { next } of level) {
        const rest = next.get('>')?.entry
        if (rest !== undefined && visit(rest.pattern)) return true
        for (const node of token === '>' ? [next.get('*')] : [next.get(token), next.get('*')]) {
          if (node !== undefined) below.push(node)
        }
      }
      level = below
    }
    return level.some(node => node.entry !== undefined && visit(node.entry.pattern))
  }
}

function newNode<T>(): Node<T> {
  return { next: new Map(), entry: undefined }
}
