/**
 * selvedge/users: who may sign in to a broker, and what they may do, in a file instead of a program.
 *
 * ```js
 * import { init } from 'selvedge'
 * import { usersFile } from 'selvedge/users'
 *
 * const server = init({ port: 3000, ...(await usersFile('users.jsonc')) })
 * ```
 *
 * The form of the file is in docs/guide/security.md.
 */

import type { SystemAccounts, Visitor } from '../index'

/** Who signed in, as `isAllowed` and `client.info.user` have it. */
export interface User {
  name: string
  roles: string[]
}

/** Options of `init`, and `reload`, which `{ ...users }` leaves out. */
export interface UsersFile {
  /**
   * Signs in the system account of the broker, or a user of the file: by `Authorization: Basic` (name and password), `Authorization: Bearer` (token), or a verified
   * certificate; else as the user that is `anonymous`. Rejects with `401`, or with `429` after ten failures of one
   * address in a minute.
   */
  getUser(visitor: Visitor, systemAccounts?: SystemAccounts): Promise<unknown>
  /** Returns whether the user's own entries and roles allow it, and none denies it. */
  isAllowed(question: { type: 'pub' | 'sub'; user: unknown; subject: string }): boolean
  /**
   * Reads the file again: all of it, or, if it has a mistake, nothing (`"ERR_INVALID_ARG_VALUE"`). Follow it with
   * `server.revalidate()`, so that subscriptions that are no longer allowed end.
   */
  reload(): Promise<void>
}

/**
 * Reads a users file. Rejects with `"ERR_INVALID_ARG_VALUE"` and the path, line and column of a mistake.
 *
 * @example
 * ```js
 * const users = await usersFile('users.jsonc')
 * const server = init({ port: 3000, ...users })
 * process.on('SIGHUP', () => users.reload().then(() => server.revalidate(), console.error))
 * ```
 */
export declare function usersFile(path: string): Promise<UsersFile>
