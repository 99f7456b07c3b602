// The accounts that a broker has by itself, and who signs in to them.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { SystemAccounts, Visitor } from '../../index'

/** Returns the system user for whoever brings its password; throws for a wrong one, and returns nothing without. */
export function systemUser(visitor: Visitor, accounts: SystemAccounts | undefined): unknown {
  const given = cookieOf(visitor.handshake.headers.cookie, 'sys')
  if (accounts?.sys === undefined || given === undefined) return undefined
  if (!isSame(given, accounts.sys.password)) throw Error('wrong system account password')
  return accounts.sys.user
}

function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}

/** Compares in constant time. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
