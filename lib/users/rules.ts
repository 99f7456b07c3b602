// What a user may do: patterns that are allowed, patterns that are denied, sockets, and a private inbox.
import { containsPattern, matchesPattern, overlapsPattern, roomsBase } from '../values/subjects'

/** Which subjects are whose. */
export interface Rules {
  readonly pub: readonly string[]
  readonly sub: readonly string[]
  /** Subjects whose socket servers, and whose clients, the user may be. */
  readonly listen: readonly string[]
  readonly connect: readonly string[]
  readonly denyPub: readonly string[]
  readonly denySub: readonly string[]
  /** Whether the user may read the inboxes of everybody. */
  readonly inboxes: boolean
}

export const NOTHING: Rules = {
  pub: [],
  sub: [],
  listen: [],
  connect: [],
  denyPub: [],
  denySub: [],
  inboxes: false,
}

/** What somebody may do who has all of these rules. */
export function union(all: readonly Rules[]): Rules {
  const joined = (name: 'pub' | 'sub' | 'listen' | 'connect' | 'denyPub' | 'denySub'): string[] => [
    ...new Set(all.flatMap(rules => rules[name])),
  ]
  return {
    pub: joined('pub'),
    sub: joined('sub'),
    listen: joined('listen'),
    connect: joined('connect'),
    denyPub: joined('denyPub'),
    denySub: joined('denySub'),
    inboxes: all.some(({ inboxes }) => inboxes),
  }
}

/** What `inboxPrefix` is for a user whose inboxes nobody else may read. */
const NAMED_INBOX = '_INBOX_'

/** Fewer characters of the token of an inbox could be guessed. */
const MIN_INBOX_TOKEN = 10

/** `isOwn`: whether the client's end of a socket with this id may be the user's. */
export function mayPublish(rules: Rules, subject: string, isOwn: (id: string) => boolean): boolean {
  if (rules.denyPub.some(pattern => matchesPattern(pattern, subject))) return false
  const tokens = subject.split('.')
  // Nobody can guess where an answer goes, so everybody may answer.
  if (tokens[0]!.startsWith('_INBOX')) return tokens.length > 1
  const isOfRooms = roomsBase(tokens) !== undefined
  return (
    rules.pub.some(pattern => matchesPattern(pattern, subject)) ||
    (!isOfRooms && isPartOfSocket(rules.connect, tokens, 'server', rest => mayAsk(rest, isOwn))) ||
    isPartOfSocket(rules.listen, tokens, 'client') ||
    isPartOfSocket(rules.listen, tokens, 'server', rest => rest[0] === 'rooms')
  )
}

/** What is said to a server: to all of them, or to one for a socket of the user's own. */
function mayAsk([server, id, ...more]: readonly string[], isOwn: (id: string) => boolean): boolean {
  return server !== 'rooms' && more.length === 0 && (id === undefined || isOwn(id))
}

/** Whose what a pattern names is, beside what rules say. */
export interface Owners {
  /** Whether the client's end of a socket with this id is the user's. */
  isOwnEnd(id: string): boolean
  /** Whether inboxes are another user's: those that begin with `_INBOX_<name>` are of nobody else. */
  isOfAnother(name: string): boolean
}

export function maySubscribe(rules: Rules, pattern: string, owners: Owners): boolean {
  if (rules.denySub.some(denied => overlapsPattern(denied, pattern))) return false
  const tokens = pattern.split('.')
  if (couldReadInbox(tokens)) {
    return rules.inboxes ? isAllowed(rules.sub, pattern) : isOwnInbox(tokens, owners)
  }
  return (
    isAllowed(rules.sub, pattern) ||
    isPartOfSocket(rules.listen, tokens, 'server') ||
    (roomsBase(tokens) === undefined &&
      isPartOfSocket(
        rules.connect,
        tokens,
        'client',
        rest => rest.length === 1 && !isWild(rest[0]!) && owners.isOwnEnd(rest[0]!),
      ))
  )
}

function isAllowed(allowed: readonly string[], pattern: string): boolean {
  return allowed.some(one => containsPattern(one, pattern))
}

function couldReadInbox([first = '']: readonly string[]): boolean {
  return isWild(first) || first.startsWith('_INBOX')
}

/** `_INBOX….<token>.*` */
function isOwnInbox([first = '', token = '', last, ...more]: readonly string[], owners: Owners): boolean {
  if (first.startsWith(NAMED_INBOX) && owners.isOfAnother(first.slice(NAMED_INBOX.length))) return false
  return (
    !isWild(first) && !isWild(token) && token.length >= MIN_INBOX_TOKEN && last === '*' && more.length === 0
  )
}

/** `S.<side>.<rest>` of a subject S of the list; any token with the name of the side may be the one. */
function isPartOfSocket(
  subjects: readonly string[],
  tokens: readonly string[],
  side: 'client' | 'server',
  isRest: (rest: readonly string[]) => boolean = () => true,
): boolean {
  if (subjects.length === 0) return false
  for (let at = 1; at < tokens.length - 1; at += 1) {
    if (tokens[at] !== side || !isRest(tokens.slice(at + 1))) continue
    const base = tokens.slice(0, at).join('.')
    if (subjects.some(subject => containsPattern(subject, base))) return true
  }
  return false
}

function isWild(token: string): boolean {
  return token === '*' || token === '>'
}
