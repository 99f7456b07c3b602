// The broker process: `broker.mjs PORT` (0: any free one). It holds nothing that must outlive it.
import { once } from 'node:events'
import { init } from 'selvedge'

process.on('disconnect', () => process.exit(1))

const server = init({ port: Number(process.argv[2]) })
await once(server, 'ready', { signal: AbortSignal.timeout(5000) })
process.send({ port: server.address().port })
