// The rooms of a socket server, and how its broadcasts read their options.
import { checkWait } from '../async/bounds'
import type { ClientContext } from '../messaging/client-context'
import type { ReadsOptions } from '../rooms/broadcast'
import type { RoomClient } from '../rooms/host'
import { Rooms } from '../rooms/rooms'
import { SEND_SHAPE, writeOptions } from './options'
import type { SocketSettings } from './settings'

export function openRooms(
  listener: { id: string; subject: string },
  context: ClientContext,
  settings: SocketSettings,
  announceLost: (id: string, undelivered: number) => void,
): Rooms {
  const host = {
    listener,
    id: listener.id,
    subject: listener.subject,
    client: context.handle,
    fabric: context.owner as unknown as RoomClient,
    get maxMessageBytes() {
      return settings.maxMessageBytes(context)
    },
    countSent: (bytes: number) => context.countSent(bytes),
    announceLost,
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
