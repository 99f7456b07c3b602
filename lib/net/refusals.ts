// What a broker refuses: one listener of the client tells all servers on it, so that many of them are no leak to Node.js.
import type { Client } from '../client/client'

export interface Refusal {
  subject: string
  type: string
  message: string
}

type Handle = (refusal: Refusal) => void

const watching = new WeakMap<Client, Set<Handle>>()

/** Calls `handle` with each. Returns how to stop that. */
export function watchRefusals(client: Client, handle: Handle): () => void {
  const handles = watching.get(client) ?? begin(client)
  handles.add(handle)
  return () => {
    handles.delete(handle)
  }
}

function begin(client: Client): Set<Handle> {
  const handles = new Set<Handle>()
  watching.set(client, handles)
  client.on('permission', refusal => {
    for (const handle of [...handles]) handle(refusal)
  })
  return handles
}
