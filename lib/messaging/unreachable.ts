// Warns the process, once, of a pattern that nothing can be published to: Conat takes it, as a literal, and a program that
// wrote it meant a wildcard.
import { isReachable } from '../values/subjects'

let isGiven = false

export function warnIfUnreachable(pattern: string): void {
  if (isGiven || isReachable(pattern)) return
  isGiven = true
  process.emitWarning(unreachableText(pattern), { code: 'SELVEDGE_UNREACHABLE' })
}

export function unreachableText(pattern: string): string {
  return (
    `nothing reaches '${pattern}': '*' and '>' are wildcards only as a whole token ('jobs.*', 'jobs.>'), and no message can be ` +
    'published to a subject that has them'
  )
}
