// Signs users in and says what they may do, by a file that can be read again while the broker runs.
import type { SystemAccounts, Visitor } from '../../index'
import type { User, UsersFile } from '../../types/users'
import { networkOf } from '../broker/pages'
import { systemUser } from '../broker/system-accounts'
import { countReloadFailure } from '../telemetry/reloads'
import { FabricError } from '../values/errors'
import { Failures } from './failures'
import { mayPublish, maySubscribe, NOTHING } from './rules'
import { hashToken, isPassword } from './secrets'
import { SocketEnds } from './socket-ends'
import { readUsers, type UserEntry, type UserTable } from './table'

/** Its contract is in types/users.d.ts. */
export async function usersFile(path: string): Promise<UsersFile> {
  let table = readUsers(path)
  const failures = new Failures()
  const ends = new SocketEnds()
  const callbacks = {
    getUser: async (visitor: Visitor, accounts?: SystemAccounts) =>
      systemAccount(visitor, accounts, failures) ?? signIn(visitor, table, failures),
    isAllowed: ({ type, user, subject }: Question) => {
      if (isSystem(user)) return maySystem(type, subject)
      const name = (user as User | null)?.name ?? ''
      const rules = table.byName.get(name)?.rules ?? NOTHING
      return type === 'pub'
        ? mayPublish(rules, subject, id => ends.maySpeak(id, name))
        : maySubscribe(rules, subject, {
            isOwnEnd: id => ends.tryClaim(id, name),
            isOfAnother: owner => owner !== name && table.byName.has(owner),
          })
    },
  }
  const reload = async (): Promise<void> => {
    try {
      table = readUsers(path)
    } catch (error) {
      countReloadFailure()
      throw error
    }
  }
  // `init({ ...users })` takes the callbacks alone.
  return Object.defineProperty(callbacks, 'reload', { value: reload }) as UsersFile
}

type Question = Parameters<UsersFile['isAllowed']>[0]

/** The system account of the broker, which is in no file. */
function systemAccount(visitor: Visitor, accounts: SystemAccounts | undefined, failures: Failures): unknown {
  const address = networkOf(visitor.handshake.address)
  if (accounts !== undefined && failures.isTooMany(address)) throw tooMany()
  try {
    return systemUser(visitor, accounts)
  } catch (error) {
    failures.count(address)
    throw error
  }
}

/** Users of the file have a name, and nothing else. */
function isSystem(user: unknown): boolean {
  return (user as { hub_id?: unknown } | null)?.hub_id === 'system'
}

/** It asks the broker, which lets nobody else do that, and hears the answers. */
function maySystem(type: 'pub' | 'sub', subject: string): boolean {
  if (type === 'sub')
    return maySubscribe(NOTHING, subject, { isOwnEnd: () => false, isOfAnother: () => true })
  return subject.startsWith('sys.') || mayPublish(NOTHING, subject, () => false)
}

async function signIn(visitor: Visitor, table: UserTable, failures: Failures): Promise<User> {
  const { headers, token, certificate } = visitor.handshake
  const address = networkOf(visitor.handshake.address)
  if (failures.isTooMany(address)) throw tooMany()
  // A page cannot set headers.
  const authorization = headers.authorization ?? (token === undefined ? undefined : `Bearer ${token}`)
  const entry =
    authorization !== undefined
      ? await byAuthorization(authorization, table, { address, failures })
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

function tooMany(): FabricError {
  return new FabricError('too many failed sign-ins; try again in a minute', 429)
}

async function byAuthorization(
  authorization: string,
  table: UserTable,
  from: { address: string; failures: Failures },
): Promise<UserEntry | undefined> {
  const [, scheme = '', credentials = ''] = /^(\w+) +(\S+)$/.exec(authorization.trim()) ?? []
  if (scheme.toLowerCase() === 'bearer') return table.byToken.get(hashToken(credentials))
  if (scheme.toLowerCase() !== 'basic') return undefined
  const text = Buffer.from(credentials, 'base64').toString()
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const entry = table.byName.get(text.slice(0, colon))
  // Guesses that came together are looked at one after the other.
  const mayGuess = (): void => {
    if (from.failures.isTooMany(from.address)) throw tooMany()
  }
  return (await isPassword(text.slice(colon + 1), entry?.password, from.address, mayGuess))
    ? entry
    : undefined
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
