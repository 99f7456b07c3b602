// What a server tells a client of who is in a room, and a client its server of the rooms that it follows: messages of the
// socket's own among its data, told apart by a header that no application can write.
import type { RoomMember } from '../../index'
import { MAX_NAME } from './options'
import type { LeaveReason } from './table'

const HEADER = 'CN-Room'
const START = `{"${HEADER}":`

/** From the server. Some of the members, the first and the last of them marked; or a change. */
export type RoomNews =
  | [kind: 'members', members: RoomMember[], isFirst: boolean, isLast: boolean]
  | [kind: 'join' | 'update', member: RoomMember]
  | [kind: 'leave', key: string, reason: LeaveReason]

/** What clients see of a member: who its user is, is not theirs to know. */
export function shown(member: RoomMember): RoomMember {
  if (member.user === undefined) return member
  const { user: _, ...rest } = member
  return rest
}

export function roomHeaders(room: string): string {
  return `${START}${JSON.stringify(room)}}`
}

/** The room that such headers are about; nothing for others. */
export function roomIn(headers: string): string | undefined {
  if (!headers.startsWith(START)) return undefined
  try {
    const room = (JSON.parse(headers) as Record<string, unknown>)[HEADER]
    return typeof room === 'string' && room.length <= MAX_NAME ? room : undefined
  } catch {
    return undefined
  }
}

/** Returns news, or nothing for what is none: it comes from another process. */
export function newsIn(data: unknown): RoomNews | undefined {
  if (!Array.isArray(data)) return undefined
  const [kind, first] = data as unknown[]
  const isNews =
    kind === 'members'
      ? Array.isArray(first) && first.every(isMember)
      : kind === 'leave'
        ? typeof first === 'string'
        : (kind === 'join' || kind === 'update') && isMember(first)
  return isNews ? (data as RoomNews) : undefined
}

function isMember(member: unknown): boolean {
  const { key, sockets } = (member ?? {}) as Partial<RoomMember>
  return typeof key === 'string' && Array.isArray(sockets)
}
