/** What a server without a broker shows of itself: where it is, and its open connections as one. */
export function served(address, connections) {
  return {
    address,
    count: () => connections.size,
    broadcast: data => {
      for (const connection of connections) connection.send(data)
    },
    drained: () => Promise.all([...connections].map(connection => connection.drained())),
  }
}
