// How deep a JSON text is nested: code that recurses into the value must not run out of stack.

/** Deepest nesting of a value that an application gets, in JSON or MessagePack. */
export const MAX_DEPTH = 1024
const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [34, 92, 91, 93, 123, 125]

/** Returns whether a value that is written so is nested too deeply. */
export function isTooDeep(text: string): boolean {
  // Each level takes two brackets, so short texts need no look.
  return text.length > 2 * MAX_DEPTH && depthOf(text) > MAX_DEPTH
}

/** Returns how deep the arrays and objects of a JSON text are nested. */
export function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let isQuoted = false
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (isQuoted) {
      if (unit === BACKSLASH) i += 1
      else if (unit === QUOTE) isQuoted = false
    } else if (unit === QUOTE) isQuoted = true
    else if (unit === OPEN_ARRAY || unit === OPEN_OBJECT) deepest = Math.max(deepest, ++depth)
    else if (unit === CLOSE_ARRAY || unit === CLOSE_OBJECT) depth -= 1
  }
  return deepest
}
