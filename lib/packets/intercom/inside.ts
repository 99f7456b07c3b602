// What an intercom does for the servers of its node beside its calls: it carries their broadcasts.

export interface IntercomInside {
  /** Publishes to all nodes, this one included. Rejects when it did not leave. */
  broadcast(message: unknown): Promise<unknown>
  /** Gives them to a server of this node, which handlers then get. Returns what stops it. */
  onBroadcast(server: object, listener: (message: unknown) => void): () => void
}

const insides = new WeakMap<object, IntercomInside>()

export function setIntercomInside(intercom: object, inside: IntercomInside): void {
  insides.set(intercom, inside)
}

export function intercomInsideOf(intercom: object | undefined): IntercomInside | undefined {
  return intercom === undefined ? undefined : insides.get(intercom)
}
