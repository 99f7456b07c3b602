// What a received message needs of its connection.
import type { Connection, Request } from '../../types/sockety'
import type { Plan } from './producer'
import type { UUID } from './uuid'

export interface MessageContext {
  /** The connection, as the application sees it. */
  readonly connection: Connection
  /** The handle of the connection. */
  readonly client: number
  readonly maxDataBufferBytes: number
  /** Sends a response, which may be answered in turn. */
  sendResponse(plan: Plan): Request
  /** Sends a fast reply; resolves when it has left. */
  sendFastReply(id: UUID, code: number): Promise<void>
  /** Sends a fast reply that nobody waits for. */
  answer(id: UUID, code: number): void
}
