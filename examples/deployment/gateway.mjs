// A gateway onto NATS, for a container: its settings come from the environment, and SIGTERM drains it.
import { init } from 'selvedge'

const { PORT = '3000', HOST = '0.0.0.0', UPSTREAM, GATEWAY_PASSWORD, ALLOWED_HOSTS } = process.env

const broker = init({
  port: Number(PORT),
  host: HOST,
  // The names by which clients reach it; without any, every name, if it is not on loopback.
  ...(ALLOWED_HOSTS ? { allowedHosts: ALLOWED_HOSTS.split(',') } : {}),
  upstream: { address: UPSTREAM.split(','), user: 'gateway', password: GATEWAY_PASSWORD },
})
broker.on('upstream', (state, error) => console.log(`NATS is ${state}`, error?.code ?? ''))
process.once('SIGTERM', () => broker.drain({ deadline: 10_000, spread: 2000 }))
await broker.waitUntilReady()
console.log(`listening on ${broker.address()}`)
