// Signs users in and says what they may do, by a file that can be read again while the broker runs.
import type { Visitor } from '../../index'
import type { User, UsersFile } from '../../types/users'
import { countReloadFailure } from '../telemetry/reloads'
import { FabricError } from '../values/errors'
import { Failures } from './failures'
import { mayPublish, maySubscribe, NOTHING } from './rules'
import { hashToken, isPassword } from './secrets'
import { readUsers, type UserEntry, type UserTable } from './table'

/** Its contract is in types/users.d.ts. */
export async function usersFile(path: string): Promise<UsersFile> {
  let table = readUsers(path)
  const failures = new Failures()
  return {
    getUser: async visitor => signIn(visitor, table, failures),
    isAllowed: ({ type, user, subject }) => {
      const rules = table.byName.get((user as User | null)?.name ?? '')?.rules ?? NOTHING
      return type === 'pub' ? mayPublish(rules, subject) : maySubscribe(rules, subject)
    },
    reload: async () => {
      try {
        table = readUsers(path)
      } catch (error) {
        countReloadFailure()
        throw error
      }
    },
  }
}

async function signIn(visitor: Visitor, table: UserTable, failures: Failures): Promise<User> {
  const { address, headers, token, certificate } = visitor.handshake
  if (failures.isTooMany(address))
    throw new FabricError('too many failed sign-ins; try again in a minute', 429)
  // A page cannot set headers.
  const authorization = headers.authorization ?? (token === undefined ? undefined : `Bearer ${token}`)
  const entry =
    authorization !== undefined
      ? await byAuthorization(authorization, table)
      : (byCertificate(certificate, table) ?? table.anonymous)
  if (entry !== undefined) return { name: entry.name, roles: [...entry.roles] }
  failures.count(address)
  throw new FabricError(
    authorization === undefined
      ? 'a name and a password, or a token, is needed'
      : 'wrong name, password or token',
    401,
  )
}

async function byAuthorization(authorization: string, table: UserTable): Promise<UserEntry | undefined> {
  const [, scheme = '', credentials = ''] = /^(\w+) +(\S+)$/.exec(authorization.trim()) ?? []
  if (scheme.toLowerCase() === 'bearer') return table.byToken.get(hashToken(credentials))
  if (scheme.toLowerCase() !== 'basic') return undefined
  const text = Buffer.from(credentials, 'base64').toString()
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const entry = table.byName.get(text.slice(0, colon))
  return (await isPassword(text.slice(colon + 1), entry?.password)) ? entry : undefined
}

function byCertificate(
  certificate: Visitor['handshake']['certificate'],
  table: UserTable,
): UserEntry | undefined {
  if (certificate === null) return undefined
  for (const name of [certificate.fingerprint256, ...certificate.subjectAltNames]) {
    const entry = table.byCertificate.get(name)
    if (entry !== undefined) return entry
  }
  return undefined
}
