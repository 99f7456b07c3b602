// One gateway: `gateway-process.mjs UPSTREAM`. Says its address to whoever has started it, and ends with it.
import { init } from 'selvedge'

const broker = init({ port: 0, maxSubscriptionsPerClient: 200_000, upstream: process.argv[2] })
await broker.waitUntilReady(10_000)
process.on('disconnect', () => process.exit(0))
process.send(String(broker.address()))
