// What a socket needs of a protocol: packets out, packets and answers in.
import type { PacketError, ValidationError } from '../errors'
import type { Prepared } from '../registry/bundle'
import type { Entry } from '../registry/entry'
import type { AnyPacket } from '../registry/packet'

export type Outgoing = Prepared & { readonly entry: Entry }
export type Outcome = { readonly value: unknown } | { readonly error: PacketError | ValidationError }

export interface Wire {
  /** The link can send. */
  handleReady(): void
  /** A message came; null: something that is no bytes. */
  handleMessage(message: Uint8Array | null): void
  /** The link is closed: calls back when all that has come was handled, or as much as may be. */
  end(callback: () => void): void
  /** Handles no more messages until there is room for packets again. */
  holdBack(isHeld: boolean): void
  /** Whether it is known what the other side has. */
  readonly isOpen: boolean
  /** Sends a packet that nobody answers. Returns whether there is room for more. */
  post(packet: Outgoing): boolean
  /** Sends a packet whose body is encoded already. */
  postBody(entry: Entry, body: Uint8Array): void
  /** Sends a packet, and returns the number under which its answer comes, in so many milliseconds. */
  call(packet: Outgoing, timeout: number): number
  /** Says that an answer is not needed any more. */
  cancel(call: number): void
  /** Answers a call. @throws {PacketError} the value does not fit the result's schema; then nothing was answered */
  reply(call: number, entry: Entry, value: unknown): void
  replyError(call: number, error: WireError): void
  waitUntilWritable(): Promise<void>
  /** Resolves when all is with the link. */
  drained(): Promise<void>
  /** Returns how many bytes never left. */
  close(): number
}

/** An error as it is said to the other side. */
export interface WireError {
  readonly code: string | number
  readonly reason: string
  /** The payload of a ValidationError. */
  readonly payload?: unknown
}

/** What the protocol tells the socket. */
export interface WireHost {
  /** `call`: its number, where an answer is wanted. `size`: bytes that it takes. */
  handlePacket(packet: AnyPacket, entry: Entry, call: number | undefined, size: number): void
  /** The entry of a call that is open. */
  entryOfCall(call: number): Entry | undefined
  handleOutcome(call: number, outcome: Outcome): void
  handleCancel(call: number): void
  /** The other side has said what it has. */
  handleOpen(): void
  /** A packet that cannot be accepted: its bytes, or its kind. */
  handleRejected(error: PacketError): void
  /** The peer broke the protocol, or cannot be served any more. */
  fail(error: PacketError): void
}
