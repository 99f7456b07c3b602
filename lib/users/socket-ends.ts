// Whose the clients' ends of sockets are: an id belongs to whoever's name it begins with, else to who had it first.

import { isUserName, NAME_END } from '../values/subjects'
import { hashToken } from './secrets'

/** Ids that are remembered for one user; the oldest are forgotten first. */
const MAX_IDS = 10_000
/** Longer ones are remembered by their hash. */
const MAX_LENGTH = 128

export class SocketEnds {
  readonly #owners = new Map<string, string>()
  /** The same ids by user, the oldest first. */
  readonly #byUser = new Map<string, Set<string>>()

  /** Returns whether a user may hear this end, which is theirs from now on. */
  tryClaim(id: string, user: string): boolean {
    if (id.includes(NAME_END)) return isNamedAfter(id, user)
    const key = keyOf(id)
    const owner = this.#owners.get(key)
    if (owner !== undefined) return owner === user
    let own = this.#byUser.get(user)
    if (own === undefined) {
      own = new Set()
      this.#byUser.set(user, own)
    }
    own.add(key)
    this.#owners.set(key, user)
    if (own.size > MAX_IDS) {
      const [oldest] = own
      own.delete(oldest!)
      this.#owners.delete(oldest!)
    }
    return true
  }

  /** Returns whether a user may speak for this end: nobody else has it. */
  maySpeak(id: string, user: string): boolean {
    if (id.includes(NAME_END)) return isNamedAfter(id, user)
    const owner = this.#owners.get(keyOf(id))
    return owner === undefined || owner === user
  }
}

function isNamedAfter(id: string, user: string): boolean {
  return isUserName(user) && id.startsWith(user + NAME_END) && id.length > user.length + NAME_END.length
}

function keyOf(id: string): string {
  return id.length <= MAX_LENGTH ? id : hashToken(id)
}
