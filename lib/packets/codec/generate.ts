// Encodes and decodes with code made for one schema. The code is made of indices: of a schema it has only keys, as literals.
// When it meets something wrong it starts again with the interpreter, which knows what to say.
import { type Coder, type CoderOptions, isBytes, isList, NO_ROOM } from './coder'
import { readSource, shortTextSource } from './generate-read'
import { writeSource } from './generate-write'
import { pack, unpack } from './packed'
import { INHERITED } from './scalars'
import type { Node } from './schema'
import { copyBytes, readText, readVaruint, varuintSize, viewBytes, writeText } from './text'

const BAD = Symbol('bad')
const BAD_VALUE = -2

type Write = (value: unknown, bytes: Uint8Array, at: number, end: number) => number
type Read = (bytes: Uint8Array, at: number, end: number) => unknown

/** Returns a coder with `fallback` for all that is wrong; `undefined` where no code may be generated. */
export function generate(root: Node, options: CoderOptions, fallback: Coder): Coder | undefined {
  if (!mayGenerate()) return undefined
  const write = assemble<Write>(['v', 'b', 'p', 'end'], writeSource(root), {
    ...SHARED,
    BAD: BAD_VALUE,
    NO_ROOM,
    EMPTY: options.emptyElements,
    INHERITED,
    pack: (value: unknown) => packOrNot(value, options.packDepth),
  })
  const read = assemble<Read>(['b', 'p', 'end'], readSource(root), {
    ...SHARED,
    BAD,
    EMPTY: options.emptyElements,
    shortText: shortText(),
    takeBytes: options.areViews ? viewBytes : copyBytes,
    unpack: (bytes: Uint8Array, start: number, end: number) =>
      unpackOrNot(bytes, start, end, options.packDepth),
  })
  return {
    write(value, bytes, at, end) {
      let next = BAD_VALUE
      try {
        next = write(value, bytes, at, end)
      } catch {
        // A getter or a proxy of the user threw.
      }
      return next === BAD_VALUE ? fallback.write(value, bytes, at, end) : next
    },
    read(bytes, at, end) {
      const value = read(bytes, at, end)
      return value === BAD ? fallback.read(bytes, at, end) : value
    },
  }
}

let isAllowed: boolean | undefined

/** Whether code can be made of text: pages and `--disallow-code-generation-from-strings` forbid it. */
function mayGenerate(): boolean {
  if (isAllowed === undefined) {
    try {
      isAllowed = Function('return true')() as boolean
    } catch {
      isAllowed = false
    }
  }
  return isAllowed
}

type ShortText = (bytes: Uint8Array, at: number, end: number) => string | undefined

let madeShortText: ShortText | undefined

/** One for all schemas: it is long, and knows nothing of any. */
function shortText(): ShortText {
  madeShortText ??= assemble<ShortText>(['b', 'p', 'end'], shortTextSource(), {
    fromCharCode: String.fromCharCode,
  })
  return madeShortText
}

/** Returns the function with this body, in strict mode, that sees `scope`. */
function assemble<F>(
  parameters: readonly string[],
  body: string,
  scope: Readonly<Record<string, unknown>>,
): F {
  const text = `'use strict'\nreturn function (${parameters.join(', ')}) {\n${body}\n}`
  return Function(...Object.keys(scope), text)(...Object.values(scope)) as F
}

function packOrNot(value: unknown, depth: number): Uint8Array | undefined {
  try {
    return pack(value, depth)
  } catch {
    return undefined
  }
}

function unpackOrNot(bytes: Uint8Array, start: number, end: number, depth: number): unknown {
  try {
    return unpack(bytes, start, end, depth)
  } catch {
    return BAD
  }
}

const [f4, f8] = [new Float32Array(1), new Float64Array(1)]
const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** What generated code calls, by the names that it has there. */
const SHARED = {
  isArray: Array.isArray,
  isBytes,
  isList,
  readText,
  readVaruint,
  varuintSize,
  writeText,
  f4,
  f8,
  s4: new Uint8Array(f4.buffer),
  s8: new Uint8Array(f8.buffer),
  // An index of the most significant byte first, XORed with this, is one of the memory.
  M4: isLittleEndian ? 3 : 0,
  M8: isLittleEndian ? 7 : 0,
}
