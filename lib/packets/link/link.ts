// What packets need of a connection: messages, in order, whole, each once.

export interface PacketLink {
  /** `'frames'`: the protocol of packets. `'flecks'`: that of @flecks/socket. */
  readonly kind: 'frames' | 'flecks'
  readonly id: string
  /** Messages are pieces of a stream of bytes, cut anywhere. */
  readonly isStream?: boolean
  /** Takes a message in any case; `false`: it is full, and the next one should wait for `writable()`. */
  send(message: Uint8Array): unknown
  writable?(): Promise<void>
  /** Stops messages from coming, until `resume`. Without it what comes is bounded by closing. */
  pause?(): void
  resume?(): void
  /** `message`: bytes, or null for what were no bytes. `closed`: once, and last. */
  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void
  /** Calls back when messages can be sent: at once, if they can be. */
  ready(go: () => void): void
  /** Ends in order: what was sent still goes. */
  close(): void
  /** Ends at once, because of what the other side did. Without it `close` is called. */
  abort?(): void
}
