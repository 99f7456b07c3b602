// Ours, with NATS in place of a broker.
import { startNats } from './nats-cluster.mjs'

export { serve, session, subjects } from './selvedge.mjs'

export async function broker({ nodes }) {
  const { addresses, pids } = await startNats(nodes)
  const [address, far = address] = addresses.map(each => `nats://${each}`)
  return { address, far, pids }
}
