// Clients of a broker that is a process of its own: quick to come back to it, and closed with the test, as all its processes.
import { type Client, connect } from 'selvedge'
import { endAll, type WIRES } from '../faults/party'

let clients: Client[] = []

/** A client that connects to this port, soon again when the broker is back. */
export function clientAt(port: number, wire: (typeof WIRES)[number] = 'selvedge'): Client {
  const client = connect({
    address: `http://127.0.0.1:${port}`,
    noCache: true,
    wire,
    reconnectionDelay: 20,
    reconnectionDelayMax: 100,
  })
  clients.push(client)
  return client
}

/** Call it after each test. */
export async function endClientsAndParties(): Promise<void> {
  await Promise.all(clients.map(client => client.close()))
  clients = []
  await endAll()
}
