// A file of JSON with comments, whose errors have a line and a column.
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser'
import { FabricError } from '../values/errors'
import { didYouMean } from '../values/nearest'

/** What is read of a file at most. */
const MAX_BYTES = 1024 * 1024

/** Where a value is: the keys and indexes that lead to it. */
export type Path = readonly (string | number)[]

export class JsoncFile {
  readonly path: string
  readonly #text: string
  readonly #root: Node

  constructor(path: string) {
    this.path = path
    this.#text = readText(path)
    const errors: ParseError[] = []
    const root = parseTree(this.#text, errors, { allowTrailingComma: true })
    const [first] = errors
    if (first !== undefined) throw this.#errorAt(first.offset, `not JSON: ${wordsOf(first)}`)
    if (root?.type !== 'object') throw this.#errorAt(0, 'the file must be an object')
    this.#root = root
    this.#checkKeys(root)
  }

  /** The value at a path; nothing if there is none. */
  get(path: Path): unknown {
    const node = this.#node(path)
    return node === undefined ? undefined : getNodeValue(node)
  }

  /** The entries of an object at a path, all of them known keys where a list of keys is given. */
  entries(path: Path, keys?: readonly string[]): [key: string, value: unknown][] {
    const node = this.#node(path)
    if (node === undefined) return []
    if (node.type !== 'object') throw this.error(path, `${nameOf(path)} must be an object`)
    return (node.children ?? []).map(({ children, offset }) => {
      const [key, value] = children as [Node, Node]
      const name = String(key.value)
      if (keys !== undefined && !keys.includes(name)) {
        throw this.#errorAt(offset, `unknown key '${nameOf([...path, name])}'${didYouMean(name, keys)}`)
      }
      return [name, getNodeValue(value)]
    })
  }

  /** An error that names the place of a value. */
  error(path: Path, text: string): FabricError {
    return this.#errorAt(this.#node(path)?.offset ?? 0, text)
  }

  #node(path: Path): Node | undefined {
    return path.length === 0 ? this.#root : findNodeAtLocation(this.#root, [...path])
  }

  /** A key that is there twice means two things. */
  #checkKeys(node: Node): void {
    if (node.type === 'object') {
      const keys = new Set<string>()
      for (const { children, offset } of node.children ?? []) {
        const key = String(children![0]!.value)
        if (keys.has(key)) throw this.#errorAt(offset, `the key '${key}' is there twice`)
        keys.add(key)
      }
    }
    for (const child of node.children ?? []) this.#checkKeys(child)
  }

  #errorAt(offset: number, text: string): FabricError {
    const place = `${this.path}:${placeOf(this.#text, offset)}`
    return new FabricError(`${place}: ${text}`, 'ERR_INVALID_ARG_VALUE')
  }
}

/** Returns where and why a text is no JSON: `2:8: a colon is missing`. */
export function jsonFault(text: string): string {
  const errors: ParseError[] = []
  parseTree(text, errors, { disallowComments: true })
  const [first] = errors
  return first === undefined ? 'it is no JSON' : `${placeOf(text, first.offset)}: ${wordsOf(first)}`
}

/** Line and column. */
function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n')
  return `${before.length}:${before.at(-1)!.length + 1}`
}

const WORDS: Readonly<Record<string, string>> = {
  InvalidSymbol: 'this is no value; texts stand in double quotes',
  InvalidNumberFormat: 'this is no number',
  PropertyNameExpected: 'a key in double quotes is missing',
  ValueExpected: 'a value is missing',
  ColonExpected: 'a colon is missing',
  CommaExpected: 'a comma is missing',
  CloseBraceExpected: 'a } is missing',
  CloseBracketExpected: 'a ] is missing',
  EndOfFileExpected: 'there is more after the end of the value',
  InvalidCommentToken: 'a comment cannot be here',
  UnexpectedEndOfComment: 'this comment has no end',
  UnexpectedEndOfString: 'this text has no end',
  UnexpectedEndOfNumber: 'this number has no end',
  InvalidUnicode: 'this is no \\uXXXX',
  InvalidEscapeCharacter: 'there is no such character after a backslash',
  InvalidCharacter: 'a text cannot have this character',
}

function wordsOf({ error }: ParseError): string {
  const name = printParseErrorCode(error)
  return WORDS[name] ?? name
}

/** `users.ann.roles[0]`. */
export function nameOf(path: Path): string {
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join('')
}

function readText(path: string): string {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const stat = fstatSync(file)
    if (stat.isDirectory()) throw Error('it is a folder')
    if (stat.size > MAX_BYTES) throw Error('it has more than 1 MiB')
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new FabricError(`cannot read ${path}: ${(error as Error).message}`, 'ERR_INVALID_ARG_VALUE')
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
