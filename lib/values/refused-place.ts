// Where in a value something is that cannot be encoded. Pages have a smaller file in the place of this one.
import { MAX_DEPTH } from './json-depth'
import { step } from './path-steps'
import { isView } from './platform'

/** A key that not every encoder carries. */
const PROTO = '__proto__'

interface Search {
  /** What the value is in. */
  readonly around: readonly object[]
  readonly seen: Set<object>
  readonly refusesProto: boolean
}

/** Returns the path, if there is such a place. `text` is what the encoder has said. May throw what a Proxy throws. */
export function refusedPlace(value: unknown, text: string): string | undefined {
  return find(value, '', { around: [], seen: new Set(), refusesProto: text.includes(PROTO) })
}

/** Looks at each object once: it may be in the value many times, and contain itself, which no encoder carries. */
function find(value: unknown, path: string, search: Search): string | undefined {
  const { around, seen, refusesProto } = search
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return path
  if (typeof value !== 'object' || value === null || isView(value)) return undefined
  if (around.includes(value)) return path
  if (around.length >= MAX_DEPTH || seen.has(value)) return undefined
  seen.add(value)
  for (const key of Object.keys(value)) {
    const place = `${path}${step(value, key)}`
    if (key === PROTO && refusesProto) return place
    let item: unknown
    try {
      item = (value as Record<string, unknown>)[key]
    } catch {
      return place
    }
    const found = find(item, place, { ...search, around: [...around, value] })
    if (found !== undefined) return found
  }
  return undefined
}
