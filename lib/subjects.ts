// Names and patterns: the engine has the one validator; what passed it before is remembered, so that a hot subject
// costs no crossing.
import { FabricError, invalidType, shown } from './errors'
import { native } from './native'

const REMEMBERED = 4096
const LONGEST_REMEMBERED = 256
/** Half of a surrogate pair has no UTF-8: the engine would see U+FFFD, and take different subjects for one. */
const LONE_SURROGATE = /\p{Surrogate}/u
const known = new Set<string>()

/** Whether `subject` may be published to: no wildcards. */
export function isValidSubjectWithoutWildcards(subject: string): boolean {
  if (typeof subject !== 'string') return false
  if (known.has(subject)) return true
  if (LONE_SURROGATE.test(subject) || !native.checkSubject(subject)) return false
  if (subject.length <= LONGEST_REMEMBERED) {
    if (known.size >= REMEMBERED) known.clear()
    known.add(subject)
  }
  return true
}

/** Whether `subject` may be subscribed to: `*` and a final `>` are allowed. */
export function isValidSubject(subject: string): boolean {
  return typeof subject === 'string' && !LONE_SURROGATE.test(subject) && native.checkPattern(subject)
}

/** Whether a message to `subject` reaches a subscription to `pattern`. */
export function matchesPattern({ pattern, subject }: { pattern: string; subject: string }): boolean {
  if (typeof pattern !== 'string') throw invalidType('pattern', 'a string', pattern)
  if (typeof subject !== 'string') throw invalidType('subject', 'a string', subject)
  return !LONE_SURROGATE.test(pattern) && !LONE_SURROGATE.test(subject) && native.matches(pattern, subject)
}

export function checkPublishSubject(subject: string): void {
  if (isValidSubjectWithoutWildcards(subject)) return
  throw new FabricError(`invalid publish subject ${shown(subject)}`, 'ERR_INVALID_SUBJECT')
}

export function checkSubscribeSubject(subject: string): void {
  if (isValidSubject(subject)) return
  throw new FabricError(`invalid subscribe subject '${shown(subject)}'`, 'ERR_INVALID_SUBJECT')
}

/** A socket server listens on a pattern that more tokens can follow. */
export function checkListenSubject(subject: string): void {
  if (isValidSubject(subject) && subject !== '>' && !subject.endsWith('.>')) return
  throw new FabricError(`invalid subject '${shown(subject)}'`, 'ERR_INVALID_SUBJECT')
}

export function checkConnectSubject(subject: string): void {
  if (isValidSubjectWithoutWildcards(subject)) return
  throw new FabricError(`invalid subject '${shown(subject)}'`, 'ERR_INVALID_SUBJECT')
}

/** An id becomes one token of a subject. */
export function checkId(id: string): void {
  if (isValidSubjectWithoutWildcards(id) && !id.includes('.')) return
  throw new FabricError(
    `invalid id '${shown(id)}': it must be one token of a subject`,
    'ERR_INVALID_ARG_VALUE',
  )
}
