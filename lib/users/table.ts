// The users of a file: read whole and checked, or refused with the place of the mistake.
import type { Path } from '../config/jsonc'
import { JsoncFile, nameOf } from '../config/jsonc'
import { isValidSubject } from '../values/subjects'
import { NOTHING, type Rules, union } from './rules'
import { type PasswordHash, parsePasswordHash, parseTokenHash } from './secrets'

export interface UserEntry {
  readonly name: string
  readonly roles: readonly string[]
  readonly rules: Rules
  readonly password: PasswordHash | undefined
}

export interface UserTable {
  readonly byName: ReadonlyMap<string, UserEntry>
  /** By the hash of their token. */
  readonly byToken: ReadonlyMap<string, UserEntry>
  /** By a name or the fingerprint of their certificate. */
  readonly byCertificate: ReadonlyMap<string, UserEntry>
  readonly anonymous: UserEntry | undefined
}

export const RULE_KEYS = ['pub', 'sub', 'reply', 'listen', 'connect', 'deny', 'inboxes']
export const USER_KEYS = [...RULE_KEYS, 'password', 'token', 'certificate', 'anonymous', 'roles']

export function readUsers(path: string): UserTable {
  const file = new JsoncFile(path)
  file.entries([], ['$schema', 'users', 'roles'])
  const byName = new Map<string, UserEntry>()
  const byToken = new Map<string, UserEntry>()
  const byCertificate = new Map<string, UserEntry>()
  let anonymous: UserEntry | undefined
  for (const [name] of file.entries(['users'])) {
    const at = ['users', name]
    const { token, certificate, isAnonymous, ...entry } = readUser(file, at, name)
    byName.set(name, entry)
    if (token !== undefined) addOnce(file, byToken, token, entry, [...at, 'token'])
    if (certificate !== undefined) addOnce(file, byCertificate, certificate, entry, [...at, 'certificate'])
    if (!isAnonymous) continue
    if (anonymous !== undefined)
      throw file.error([...at, 'anonymous'], `two users are anonymous: ${anonymous.name} and ${name}`)
    anonymous = entry
  }
  return { byName, byToken, byCertificate, anonymous }
}

function addOnce(
  file: JsoncFile,
  table: Map<string, UserEntry>,
  key: string,
  entry: UserEntry,
  path: Path,
): void {
  const other = table.get(key)
  if (other !== undefined) throw file.error(path, `${nameOf(path)} is that of ${other.name}, too`)
  table.set(key, entry)
}

function readUser(file: JsoncFile, at: Path, name: string) {
  const values = Object.fromEntries(file.entries(at, USER_KEYS))
  const roles = strings(file, [...at, 'roles'])
  const rules = [rulesOf(file, at, name)]
  for (const [index, role] of roles.entries()) {
    if (file.get(['roles', role]) === undefined) {
      const path = [...at, 'roles', index]
      throw file.error(path, `${nameOf(path)}: there is no role '${role}'`)
    }
    file.entries(['roles', role], RULE_KEYS)
    rules.push(rulesOf(file, ['roles', role], name))
  }
  if (values.anonymous !== undefined && typeof values.anonymous !== 'boolean') {
    throw file.error([...at, 'anonymous'], `${nameOf([...at, 'anonymous'])} must be true or false`)
  }
  return {
    name,
    roles,
    rules: union(rules),
    password: passwordOf(file, [...at, 'password'], values.password),
    token: tokenOf(file, [...at, 'token'], values.token),
    certificate: certificateOf(file, [...at, 'certificate']),
    isAnonymous: values.anonymous === true,
  }
}

function passwordOf(file: JsoncFile, path: Path, value: unknown): PasswordHash | undefined {
  if (value === undefined) return undefined
  const hash = typeof value === 'string' ? parsePasswordHash(value) : undefined
  if (hash !== undefined) return hash
  throw file.error(path, `${nameOf(path)} must be a hash: selvedge passwd prints one`)
}

function tokenOf(file: JsoncFile, path: Path, value: unknown): string | undefined {
  if (value === undefined) return undefined
  const hash = typeof value === 'string' ? parseTokenHash(value) : undefined
  if (hash !== undefined) return hash
  throw file.error(path, `${nameOf(path)} must be a hash: selvedge token prints one`)
}

/** `{ "dns": NAME }` or `{ "fingerprint": HEX }`. */
function certificateOf(file: JsoncFile, path: Path): string | undefined {
  if (file.get(path) === undefined) return undefined
  const [entry, ...more] = file.entries(path, ['dns', 'fingerprint'])
  if (entry === undefined || more.length > 0 || typeof entry[1] !== 'string') {
    throw file.error(path, `${nameOf(path)} must have a dns name or a fingerprint`)
  }
  const [kind, value] = entry
  return kind === 'dns' ? `DNS:${value}` : value
}

function rulesOf(file: JsoncFile, at: Path, name: string): Rules {
  const patterns = (...keys: string[]): string[] => {
    const path = [...at, ...keys]
    return strings(file, path).map((pattern, index) => patternAt(file, [...path, index], pattern, name))
  }
  for (const [key] of file.entries([...at, 'deny'], ['pub', 'sub'])) strings(file, [...at, 'deny', key])
  const inboxes = file.get([...at, 'inboxes'])
  if (inboxes !== undefined && typeof inboxes !== 'boolean') {
    throw file.error([...at, 'inboxes'], `${nameOf([...at, 'inboxes'])} must be true or false`)
  }
  return {
    ...NOTHING,
    pub: patterns('pub'),
    sub: [...patterns('sub'), ...patterns('reply')],
    listen: patterns('listen'),
    connect: patterns('connect'),
    denyPub: patterns('deny', 'pub'),
    denySub: patterns('deny', 'sub'),
    inboxes: inboxes === true,
  }
}

function patternAt(file: JsoncFile, path: Path, pattern: string, name: string): string {
  if (pattern.includes('{user}') && !/^[^.*>\s~]+$/.test(name)) {
    throw file.error(path, `${nameOf(path)}: '${name}' is no single token, so it cannot stand for {user}`)
  }
  const filled = pattern.replaceAll('{user}', name)
  if (isValidSubject(filled)) return filled
  throw file.error(path, `${nameOf(path)}: '${filled}' is no pattern`)
}

function strings(file: JsoncFile, path: Path): string[] {
  const value = file.get(path)
  if (value === undefined) return []
  if (Array.isArray(value) && value.every(item => typeof item === 'string')) return value
  throw file.error(path, `${nameOf(path)} must be a list of texts`)
}
