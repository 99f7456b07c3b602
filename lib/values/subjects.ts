// Validates and matches subjects and patterns by the rules of src/subject; __test__/values/subjects.spec.ts
// compares both.
import { FabricError, invalidType, shown } from './errors'
import { Buffer } from './platform'

/** UTF-8 bytes of a subject or pattern: a bound for memory and matching time, far above any real name. */
const MAX_SUBJECT_BYTES = 8 * 1024
/** Tokens of a subject or pattern: bounds the depth of the engine's trie. */
const MAX_SUBJECT_TOKENS = 512
const [DOT, SPACE, TILDE] = [46, 32, 126]
/**
 * White space and NUL, in Unicode's sense and in JavaScript's; and half of a surrogate pair, which has no
 * UTF-8: the engine would see U+FFFD, and take different subjects for one.
 */
const FORBIDDEN = /[\s\0\x85]|\p{Surrogate}/u
/** A token `>` that is not the last one. */
const REST_INSIDE = /(?:^|\.)>\./

/** Returns whether `subject` may be published to: no wildcards. */
export function isValidSubjectWithoutWildcards(subject: string): boolean {
  return (
    typeof subject === 'string' && hasValidTokens(subject) && !subject.includes('*') && !subject.endsWith('>')
  )
}

/** Returns whether `subject` may be subscribed to: `*` and a final `>` are allowed. */
export function isValidSubject(subject: string): boolean {
  return typeof subject === 'string' && hasValidTokens(subject) && !REST_INSIDE.test(subject)
}

/** A token that has `*`, or a last one that ends in `>`, and is no wildcard: no subject to publish to has it. */
const NO_WILDCARD = /[^.]\*|\*[^.]|[^.]>$/

/** Returns whether anything can be published to a valid pattern. */
export function isReachable(pattern: string): boolean {
  return !NO_WILDCARD.test(pattern)
}

/** Returns whether a message to `subject` reaches a subscription to `pattern`. */
export function matchesPattern(options: { pattern: string; subject: string }): boolean
export function matchesPattern(pattern: string, subject: string): boolean
export function matchesPattern(
  first: { pattern: string; subject: string } | string,
  second?: string,
): boolean {
  const { pattern, subject } = typeof first === 'object' ? first : { pattern: first, subject: second }
  if (typeof pattern !== 'string') throw invalidType('pattern', 'a string', pattern)
  if (typeof subject !== 'string') throw invalidType('subject', 'a string', subject)
  if (!isValidSubject(pattern) || /\p{Surrogate}/u.test(subject)) return false
  const tokens = subject.split('.')
  const expected = pattern.split('.')
  for (const [index, token] of expected.entries()) {
    if (index >= tokens.length) return false
    if (token === '>') return true
    if (token !== '*' && token !== tokens[index]) return false
  }
  return tokens.length === expected.length
}

/** Returns whether every subject that `inner` matches is one that `outer` matches, too. */
export function containsPattern(outer: string, inner: string): boolean {
  const tokens = inner.split('.')
  const expected = outer.split('.')
  for (const [index, token] of expected.entries()) {
    const given = tokens[index]
    if (given === undefined) return false
    if (token === '>') return true
    if (given === '>' || (token !== '*' && token !== given)) return false
  }
  return tokens.length === expected.length
}

/** Returns whether there is a subject that both match. */
export function overlapsPattern(one: string, other: string): boolean {
  const [a, b] = [one.split('.'), other.split('.')]
  for (let index = 0; index < a.length && index < b.length; index += 1) {
    if (a[index] === '>' || b[index] === '>') return true
    if (a[index] !== '*' && b[index] !== '*' && a[index] !== b[index]) return false
  }
  return a.length === b.length
}

/** Returns whether a token of a pattern matches a token of a subject. */
export function matchesSegment(pattern: string, token: string): boolean {
  return pattern === '*' || pattern === '>' || pattern === token
}

/** Runs for every message that is sent: one check for each character, and more only for unusual ones. */
function hasValidTokens(text: string): boolean {
  // A UTF-16 unit takes at most three bytes of UTF-8.
  if (text.length * 3 > MAX_SUBJECT_BYTES && Buffer.byteLength(text) > MAX_SUBJECT_BYTES) return false
  let tokens = 1
  let previous = DOT
  let isUnusual = false
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit === DOT) {
      if (previous === DOT) return false
      tokens += 1
    } else if (unit <= SPACE || unit > TILDE) isUnusual = true
    previous = unit
  }
  return previous !== DOT && tokens <= MAX_SUBJECT_TOKENS && !(isUnusual && FORBIDDEN.test(text))
}

export function checkPublishSubject(subject: string): void {
  if (isValidSubjectWithoutWildcards(subject)) return
  // Conat has no quotes here; nothing at all would be seen of an empty one.
  const name = subject === '' ? "''" : shown(subject)
  throw new FabricError(`invalid publish subject ${name}: ${faultOf(subject)}`, 'ERR_INVALID_SUBJECT')
}

export function checkSubscribeSubject(subject: string): void {
  if (isValidSubject(subject)) return
  const text = `invalid subscribe subject '${shown(subject)}': ${faultOf(subject)}`
  throw new FabricError(text, 'ERR_INVALID_SUBJECT')
}

export function checkConnectSubject(subject: string): void {
  if (isValidSubjectWithoutWildcards(subject)) return
  throw new FabricError(`invalid subject '${shown(subject)}': ${faultOf(subject)}`, 'ERR_INVALID_SUBJECT')
}

const TOO_LONG = `it is too long: at most ${MAX_SUBJECT_BYTES} bytes and ${MAX_SUBJECT_TOKENS} tokens`

/** Says what is wrong with a subject or pattern that is invalid. */
export function faultOf(subject: unknown): string {
  if (typeof subject !== 'string') return 'it must be a string'
  if (subject === '') return 'it is empty'
  const tokens = subject.split('.')
  if (tokens.includes('')) return 'a token is empty'
  if (/\s|\0|\x85/.test(subject)) return 'it has white space'
  if (/\p{Surrogate}/u.test(subject)) return 'it has half of a surrogate pair'
  const isLong = tokens.length > MAX_SUBJECT_TOKENS || Buffer.byteLength(subject) > MAX_SUBJECT_BYTES
  return isLong ? TOO_LONG : 'a wildcard stands where none may'
}

/**
 * Returns the subject of which `S.server.rooms`, or the subject of a socket to `S.server.rooms.<server>`, is: what the
 * servers of `S` say to each other there is for no client. Nothing for others, and for a longer name of an end.
 */
export function roomsBase(tokens: readonly string[]): string | undefined {
  for (let at = 1; at < tokens.length - 1; at += 1) {
    if (tokens[at] !== 'server' || tokens[at + 1] !== 'rooms') continue
    const side = tokens[at + 3]
    if (tokens.length === at + 2 || side === 'server' || side === 'client')
      return tokens.slice(0, at).join('.')
  }
  return undefined
}

/** What stands between a user's name and the rest of an id. No name has it. */
export const NAME_END = '~'
/** A name is one token, in which nothing has a meaning. */
const USER_NAME = /^[^\s\p{Surrogate}.*>~]+$/u
const INBOX_OF = '_INBOX_'

/** Returns whether it can stand in subjects as the name of a user (`privateEnds`). */
export function isUserName(name: unknown): name is string {
  return typeof name === 'string' && USER_NAME.test(name)
}

/** Returns what the ids of sockets begin with at a client that has this inbox, or signs in with this name. */
export function idPrefix(inboxPrefix: string | undefined, user?: string): string {
  const name = inboxPrefix?.startsWith(INBOX_OF) ? inboxPrefix.slice(INBOX_OF.length) : user
  return isUserName(name) ? name + NAME_END : ''
}
