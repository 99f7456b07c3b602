// What goes wrong, in words: those of the reference implementation, as far as it has any.
import { FabricError } from '../values/errors'

export const notEstablished = (): FabricError =>
  new FabricError('The connection is not established yet.', 'ERR_SOCKETY_NOT_CONNECTED')

export const isClosed = (): FabricError => new FabricError('The connection is closed.', 'ERR_CLOSED')

/** What waited when the connection was closed. */
export const hasBeenClosed = (cause?: unknown): FabricError =>
  new FabricError('The connection has been closed', 'ERR_CLOSED', { cause })

export const wasAborted = (): FabricError =>
  new FabricError('The incoming message was aborted', 'ERR_SOCKETY_ABORTED')

export const wasDiscarded = (): FabricError =>
  new FabricError('The message was discarded unread', 'ERR_SOCKETY_DISCARDED')

export const partLost = (what: string): FabricError =>
  new FabricError(`Message has been closed before ${what} loaded`, 'ERR_CLOSED')

export const invalidCode = (): FabricError =>
  new FabricError('Invalid short response code.', 'ERR_OUT_OF_RANGE')

export const tooBig = (what: string): FabricError =>
  new FabricError(`The '${what}' value is too big`, 'ERR_OUT_OF_RANGE')

export const missing = (what: string): FabricError =>
  new FabricError(`The message requires "${what}" property.`, 'ERR_INVALID_ARG_VALUE')

export const unexpected = (what: string, isFixed: boolean): FabricError => {
  const why = isFixed ? `the draft says what its ${what} are` : `the draft has no ${what}()`
  return new FabricError(`The message takes no "${what}" property: ${why}.`, 'ERR_INVALID_ARG_VALUE')
}

/** What would be lost without a word. */
export const unknownPart = (name: string): FabricError =>
  new FabricError(`A response has data and files, no "${name}" property.`, 'ERR_INVALID_ARG_VALUE')

export const rawDraft = (name: string): FabricError =>
  new FabricError(`Raw ${name}'s factory should be called to build the producer.`, 'ERR_INVALID_ARG_TYPE')

export const queueFull = (bytes: number): FabricError =>
  new FabricError(`${bytes} bytes wait to be sent: wait for sent() or pass()`, 'ENOBUFS')

export const tooManyRequests = (most: number): FabricError =>
  new FabricError(`${most} messages wait for an answer: pass() those that get none`, 'ENOBUFS')
