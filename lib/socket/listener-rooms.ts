// The rooms of a socket server, and how its broadcasts read their options.
import { checkWait } from '../async/bounds'
import { startTimer } from '../async/timer'
import * as commands from '../engine/commands'
import type { ClientContext } from '../messaging/client-context'
import type { ReadsOptions } from '../rooms/broadcast'
import type { RoomClient, RoomHost } from '../rooms/host'
import { MAX_WAITING } from '../rooms/link-queue'
import { Rooms } from '../rooms/rooms'
import { nextTick } from '../values/platform'
import { SEND_SHAPE, writeOptions } from './options'
import type { SocketSettings } from './settings'

/** At most 4 MiB. */
const ROWS_AT_ONCE = 1000

export function openRooms(
  listener: { id: string; subject: string },
  context: ClientContext,
  settings: SocketSettings,
  announceLost: (id: string, undelivered: number) => void,
): Rooms {
  const host: RoomHost = {
    listener,
    id: listener.id,
    subject: listener.subject,
    fabric: context.owner as unknown as RoomClient,
    get maxMessageBytes() {
      return settings.maxMessageBytes(context)
    },
    rowsAtOnce: ROWS_AT_ONCE,
    maxWaiting: MAX_WAITING,
    get obstacle() {
      return context.obstacle
    },
    countSent: (bytes: number) => context.countSent(bytes),
    broadcast: (sockets, message, isVolatile) =>
      commands.broadcast(context.handle, sockets, message, isVolatile),
    now: Date.now,
    random: Math.random,
    soon: nextTick,
    after: (ms, callback) => {
      const timer = startTimer(ms, callback)
      timer.unref()
      return timer
    },
    announceLost: (id, undelivered) => {
      context.counters.countUndeliveredBroadcasts(undelivered)
      announceLost(id, undelivered)
    },
  }
  return new Rooms(host, settings.options.rooms)
}

export const READS: ReadsOptions = {
  write: writeOptions,
  send: options => {
    checkWait('send', options, SEND_SHAPE)
    return options
  },
}
