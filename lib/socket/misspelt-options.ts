// Warns the process, once for each name, of a header that was probably meant to be an option: the second argument of `write` is
// headers as soon as it has a name that is no option.
import { escaped } from '../values/escaped'
import { didYouMean } from '../values/nearest'
import type { Check, Option, Shape } from '../values/option-checks'

/** Shorter names are too near to others. */
const MIN_LETTERS = 5
/** A program may have headers of ever new names. */
const MAX_NAMES = 256

const seen = new Set<string>()

export function warnIfMisspelt(headers: object, shape: Shape): void {
  for (const name of Object.keys(headers)) {
    if (seen.has(name)) continue
    if (seen.size >= MAX_NAMES) return
    seen.add(name)
    const meant = meantBy(name, (headers as Record<string, unknown>)[name], shape)
    if (meant === '') continue
    const text = `write has no option '${name}', so all of its second argument is headers${meant} (headers alone: { headers: { … } })`
    process.emitWarning(escaped(text).replaceAll('\n', ' '), { code: 'SELVEDGE_UNKNOWN_OPTION' })
  }
}

/** What was meant, as a message says it; nothing if it is no option's name, nearly, with a value of that. */
function meantBy(name: string, value: unknown, shape: Shape): string {
  if (name.length < MIN_LETTERS || Object.hasOwn(shape, name)) return ''
  const names = Object.keys(shape).filter(
    option => option.length >= MIN_LETTERS && takes(shape[option] as Check | Option, value),
  )
  return didYouMean(name, names)
}

function takes(option: Check | Option, value: unknown): boolean {
  try {
    const check = typeof option === 'function' ? option : option.check
    check('', value)
    return true
  } catch {
    return false
  }
}
