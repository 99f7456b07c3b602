// A ready `isAllowed`: inboxes are private, and sockets belong to their ends.
import type { PrivateEndsOptions } from '../../index'
import { invalidType } from '../values/errors'
import { checkOptions, isFunction, type ShapeOf } from '../values/option-checks'
import { containsPattern, isUserName, NAME_END, roomsBase } from '../values/subjects'

/** What a `getUser` may have returned: of it, these are looked at here. */
type User = { readonly name?: string; readonly hub_id?: string } | null | undefined
type Question = { type: 'pub' | 'sub'; user: User; subject: string }

export const PRIVATE_ENDS_SHAPE = {
  name: isFunction,
  serve: isPatterns,
  connect: isPatterns,
  other: isFunction,
} as const satisfies ShapeOf<PrivateEndsOptions>

/** Returns an `isAllowed`. Its contract is in index.d.ts. */
export function privateEnds(
  options: PrivateEndsOptions = {},
): (question: Question) => boolean | Promise<boolean> {
  checkOptions('privateEnds', options, PRIVATE_ENDS_SHAPE)
  const { name = nameOf, serve = [], connect = ['>'], other = () => false } = options
  return question => {
    const { type, user, subject } = question
    if (user?.hub_id === 'system') return true
    const tokens = subject.split('.')
    if (tokens[0]?.startsWith('_INBOX')) return isInboxAllowed(type, tokens, name(user))
    const rooms = roomsBase(tokens)
    if (rooms !== undefined) {
      return patternsOf(serve, user).some(pattern => containsPattern(pattern, rooms))
    }
    const end = endOf(tokens)
    if (end === undefined) return hidesNoEnd(type, tokens) && other(question)
    const isServer = patternsOf(serve, user).some(pattern => containsPattern(pattern, end.base.join('.')))
    if (isServer && isOfServer(type, end)) return true
    const owner = name(user)
    return (
      isUserName(owner) &&
      isOfClient(type, end, owner) &&
      patternsOf(connect, user).some(pattern => containsPattern(pattern, end.base.join('.')))
    )
  }
}

/** One side of a socket, by the end of its subject. */
interface End {
  readonly side: 'client' | 'server'
  /** The tokens of the subject that sockets connect to. */
  readonly base: readonly string[]
  /** `status`, or a server's id; a client has none. */
  readonly server: string | undefined
  /** Of the client's end. */
  readonly id: string | undefined
}

/** Reads `S.client.<id>`, `S.server.status` and `S.server.<server>.<id>`. */
function endOf(tokens: readonly string[]): End | undefined {
  const [third, second, last] = tokens.slice(-3)
  const base = (count: number): string[] => tokens.slice(0, -count)
  if (tokens.length >= 3 && second === 'client') {
    return { side: 'client', base: base(2), server: undefined, id: last }
  }
  if (tokens.length >= 3 && second === 'server' && last === 'status') {
    return { side: 'server', base: base(2), server: 'status', id: undefined }
  }
  if (tokens.length >= 4 && third === 'server') {
    return { side: 'server', base: base(3), server: second, id: last }
  }
  return undefined
}

/** Everybody may answer to an inbox; nobody can guess where an answer goes. Each has the inboxes of their name. */
function isInboxAllowed(type: 'pub' | 'sub', tokens: readonly string[], owner: string | undefined): boolean {
  if (type === 'pub') return tokens.length > 1
  return isUserName(owner) && tokens[0] === `_INBOX_${owner}` && tokens.length > 1
}

/** A server hears what is for its kind, under an id of its own, and speaks to one client at a time. */
function isOfServer(type: 'pub' | 'sub', { side, server, id }: End): boolean {
  if (type === 'pub') return side === 'client' || server === 'status'
  return side === 'server' && server !== '*' && (server === 'status' || id === '*')
}

/** A client hears what is for its own sockets, looks for servers, and speaks for its own sockets. */
function isOfClient(type: 'pub' | 'sub', { side, server, id }: End, owner: string): boolean {
  const isOwn = id?.startsWith(owner + NAME_END) === true && id.length > owner.length + NAME_END.length
  if (type === 'sub') return side === 'client' && isOwn
  // What servers say about rooms is for no client.
  return side === 'server' && server !== 'rooms' && (server === 'status' || isOwn)
}

/** A pattern that would hear more than one subject of somebody's ends is no matter of `other`. */
function hidesNoEnd(type: 'pub' | 'sub', tokens: readonly string[]): boolean {
  if (type === 'pub') return true
  const isWild = (token: string | undefined): boolean => token === '*' || token === '>'
  if (isWild(tokens[0]) || tokens.at(-1) === '>') return false
  // Searches for a server, and what servers say of rooms.
  if (tokens.at(-2) === 'server' && isWild(tokens.at(-1))) return false
  return !isWild(tokens.at(-2)) && !(isWild(tokens.at(-3)) && tokens.length >= 4)
}

type Patterns = readonly string[] | ((user: User) => readonly string[])

function patternsOf(patterns: Patterns, user: User): readonly string[] {
  return typeof patterns === 'function' ? patterns(user) : patterns
}

function nameOf(user: User): string | undefined {
  return user?.name
}

function isPatterns(name: string, value: unknown): void {
  if (typeof value === 'function') return
  if (Array.isArray(value) && value.every(pattern => typeof pattern === 'string')) return
  throw invalidType(name, 'an array of patterns or a function', value)
}
