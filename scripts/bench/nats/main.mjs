// npm run bench -- --work nats: our sockets and requests on two nodes of NATS, server and client at different ones, directly and
// over gateways, beside the same work by NATS's own client, and beside our own broker; and what more gateways cost.
import { cases } from '../cases.mjs'
import { compare, tell, tellFailures } from '../comparison.mjs'
import { chosenContenders, contenders, natsMissing } from '../contenders.mjs'
import { updateSection } from '../document.mjs'
import { cpu, p50 } from '../floors.mjs'
import { median } from '../report.mjs'
import { oneway } from '../workloads.mjs'
import { growth, spread } from './growth.mjs'

const OURS = 'selvedge on nats'
const BARE = 'nats'
const BROKER = 'selvedge wire'
const ONE = '1 gateway'
const TWO = '2 gateways'
const workloads = ['oneway', 'rtt', 'pubsub', 'request']
const onNats = { broker: true, nodes: 2, workloads, missing: natsMissing() }

const rivals = {
  [OURS]: { ...onNats, module: 'selvedge-on-nats', transport: 'nats' },
  [ONE]: { ...onNats, module: 'gateways', gateways: 1 },
  [TWO]: { ...onNats, module: 'gateways', gateways: 2 },
  [BARE]: { ...onNats, module: 'nats' },
  [BROKER]: { ...contenders[BROKER], workloads },
}

const targets = [
  { of: 'oneway 16 B', by: OURS, atLeast: 2.5, to: BARE },
  { of: 'oneway 16 B', by: OURS, atMost: 0.3, take: cpu, to: BARE },
  { of: 'oneway 16 B', by: OURS, atLeast: 0.7, to: BROKER },
  { of: 'oneway 1 KiB', by: OURS, atLeast: 1.3, to: BARE },
  { of: 'oneway 1 KiB', by: OURS, atMost: 0.9, take: cpu, to: BARE },
  { of: 'oneway 1 KiB', by: OURS, atLeast: 0.5, to: BROKER },
  { of: 'oneway 16 B', by: TWO, atLeast: 2, to: BARE },
  { of: 'oneway 16 B', by: TWO, atMost: 2.5, take: result => result.cpu.broker, to: BROKER },
  { of: 'request', by: OURS, atMost: 1.3, take: p50, to: BARE },
  { of: 'request', by: TWO, atMost: 2.5, take: p50, to: BARE },
]
const spreads = spread(onNats)
const growthCases = [
  { name: '60 sockets, 16 B', size: 16 },
  { name: '60 sockets, 1 KiB', size: 1024 },
].map(each => ({ ...each, workload: 'spread', measure: oneway, sockets: 60, burst: 16, figure: 'rate' }))
const chosenNames = [...targets.map(({ of }) => of), 'rtt', 'rtt, 64 in flight', 'pubsub 16 B']
const briefly = ['oneway 16 B', 'rtt, 64 in flight']

const growthText = `### Growth

Messages over 60 sockets between clients at every gateway: CPU µs a message of all gateways together, and of all nodes of NATS,
measured and as the model says: a gateway costs what one costs alone, once for each that a message passes; NATS what it costs for
two, by the share that crosses. *Capacity* is how much so many gateways carry in the model, by what one carries.`

export async function benchNats({ quick, runs, dur, limit, update, setting, out }) {
  if (onNats.missing) {
    console.log(`SKIPPED work nats: ${onNats.missing}`)
    return
  }
  const chosen = cases.filter(({ name }) => (quick ? briefly : chosenNames).includes(name))
  const how = { setting, runs, dur, limit, out }
  const all = await compare({ ...how, cases: chosen, contenders: chosenContenders(undefined, rivals) })
  const told = tell(all, {
    cases: chosen,
    contenders: rivals,
    peers: [BARE, BROKER],
    heading: 'Targets on NATS',
    ...(quick ? {} : { floors: targets }),
  })
  const grown = await compare({
    ...how,
    out: undefined,
    cases: quick ? growthCases.slice(0, 1) : growthCases,
    contenders: spreads,
  })
  const medians = Object.fromEntries(
    Object.entries(grown.results).map(([name, ofCase]) => [
      name,
      Object.fromEntries(Object.entries(ofCase).map(([contender, each]) => [contender, median(each)])),
    ]),
  )
  const text = [told, growthText, growth(medians, growthCases)].join('\n\n')
  console.log(`\n${text}\n`)
  tellFailures([...all.failures, ...grown.failures])
  if (update) updateSection('nats', text)
}
