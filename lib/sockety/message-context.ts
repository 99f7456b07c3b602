// What a received message needs of its connection.
import type { Connection, Producer, Request } from '../../types/sockety'
import type { UUID } from './uuid'

export interface MessageContext {
  /** The connection, as the application sees it. */
  readonly connection: Connection
  readonly maxDataBufferBytes: number
  /** Sends a response, which may be answered in turn. */
  sendResponse(producer: Producer): Request
  /** Sends a fast reply; resolves when it has left. */
  sendFastReply(id: UUID, code: number): Promise<void>
  /** Sends a fast reply that nobody waits for. */
  answer(id: UUID, code: number): void
}
