// What values/refused-place.ts is for Node.js: scripts/bundle.mjs puts this file in its place. It finds what no encoder carries,
// and not values that contain themselves.
import { step } from '../values/path-steps'
import { isView } from '../values/platform'

const MAX_DEPTH = 100

export function refusedPlace(value: unknown): string | undefined {
  return find(value, '', 1, new Set())
}

/** Looks at each object once: it may contain itself, and many times. */
function find(value: unknown, path: string, depth: number, seen: Set<object>): string | undefined {
  if (/bigint|function|symbol/.test(typeof value)) return path
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH || isView(value)) return undefined
  if (seen.has(value)) return undefined
  seen.add(value)
  for (const [key, item] of Object.entries(value)) {
    const found = find(item, path + step(value, key), depth + 1, seen)
    if (found !== undefined) return found
  }
  return undefined
}
