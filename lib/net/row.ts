// A socket's row of netstat.
import type { SocketRow, SocketState } from '../../types/net'
import type { Transport } from './transport'

interface Shown {
  readonly proto: SocketRow['proto']
  readonly server: unknown
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly readableLength: number
  readonly bytesWritten: number | undefined
  readonly writableLength: number
  readonly writableEnded: boolean
}

export function rowOf(socket: Shown, transport: Transport): SocketRow {
  const { session, sender } = transport
  const { subject, id } = session
  const client = session.role === 'client'
  const { unacknowledged } = transport
  return {
    proto: socket.proto,
    local: client ? endpoint(id, socket.localPort) : (socket.localAddress ?? subject),
    foreign: client ? subject : endpoint(id, socket.remotePort),
    state: stateOf(transport, unacknowledged),
    recvQ: socket.readableLength,
    sendQ: unacknowledged + (transport.isReleased ? 0 : socket.writableLength),
    bytesRead: transport.bytesRead,
    bytesWritten: sender.written + sender.joined,
    since: transport.since,
    suspended: transport.isSuspended,
    id,
  }
}

function endpoint(id: string, port: number | undefined): string {
  return port ? `${id}:${port}` : id
}

/** As TCP's diagram has it: acknowledged is what the other end's Duplex was handed. */
function stateOf(transport: Transport, unacknowledged: number): SocketState {
  const { isOpen, isFinReceived, sender, session } = transport
  if (!isOpen) return session.role === 'client' ? 'SYN_SENT' : 'SYN_RECEIVED'
  const isAcknowledged = unacknowledged === 0
  if (!sender.isFinished) return isFinReceived ? 'CLOSE_WAIT' : 'ESTABLISHED'
  if (!isFinReceived) return isAcknowledged ? 'FIN_WAIT2' : 'FIN_WAIT1'
  if (isAcknowledged) return 'TIME_WAIT'
  return transport.isFinishedFirst ? 'CLOSING' : 'LAST_ACK'
}
