// Follows who is in a room, over the socket to one of its servers.
import { roomHeaders } from '../rooms/follow-messages'
import { checkRoom, MAX_ROOMS } from '../rooms/options'
import { RoomView } from '../rooms/room-view'
import { FabricError, invalidType } from '../values/errors'
import { ConatSocketClient } from './client-socket'

/** Returns the view of a room: the same one for the same name, as long as it is open. */
export function watchRoom(socket: object, room: string): RoomView {
  if (!(socket instanceof ConatSocketClient)) throw invalidType('socket', 'a socket that connects', socket)
  checkRoom(room)
  if (socket.renews) {
    throw new FabricError(
      'a socket that renews itself follows no rooms: each server has its own',
      'ERR_UNSUPPORTED',
    )
  }
  const { views } = socket
  const known = views.get(room)
  if (known !== undefined) return known
  if (socket.ended) throw new FabricError('the socket is closed', 'ERR_CLOSED')
  if (views.size >= MAX_ROOMS) throw new FabricError(`a socket follows ${MAX_ROOMS} rooms`, 'ERR_ROOM_LIMIT')
  const say = (isOn: boolean): boolean => socket.tellOwn(roomHeaders(room), isOn)
  if (!say(true)) throw new FabricError('the window of the socket is full', 'ENOBUFS')
  const view = new RoomView(
    {
      endView: () => {
        if (views.get(room) !== view) return
        views.delete(room)
        say(false)
      },
      handleFlood: () =>
        socket.closeFor(new FabricError(`'${room}' has too many members`, 'ERR_SOCKET_PROTOCOL')),
    },
    room,
  )
  views.set(room, view)
  return view
}
