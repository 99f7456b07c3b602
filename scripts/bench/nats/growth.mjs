// What gateways cost when there are more of them: measured for a few, and what that means for many.
import { markdown, significant } from '../report.mjs'

const measuredUpTo = 3
const told = [1, 2, 3, 10, 100]

export const nameOf = n => (n === 1 ? 'spread over 1 gateway' : `spread over ${n} gateways`)

/** Contenders whose clients are spread over so many gateways, on as many nodes. */
export const spread = base =>
  Object.fromEntries(
    Array.from({ length: measuredUpTo }, (_, i) => i + 1).map(n => [
      nameOf(n),
      { ...base, module: 'gateways', gateways: n, nodes: n, spread: true, workloads: ['spread'] },
    ]),
  )

/**
 * CPU of gateways and of NATS for each message, measured, and by the model: of messages between clients that are spread by
 * chance over N gateways a share of 1 - 1/N passes two of them and NATS, the rest one.
 */
export function growth(medians, cases) {
  const rows = cases.flatMap(({ name }) => {
    const results = medians[name] ?? {}
    const [one, two] = [results[nameOf(1)], results[nameOf(2)]]
    if (!one || !two) return []
    const gateway = one.cpu.broker
    const nats = two.cpu.nats * 2
    return told.map(n => {
      const crossing = 1 - 1 / n
      const measured = results[nameOf(n)]?.cpu
      const cost = gateway * (1 + crossing)
      return [
        name,
        String(n),
        significant(measured?.broker),
        significant(cost),
        significant(measured?.nats),
        significant(nats * crossing),
        significant((n * gateway) / cost),
      ]
    })
  })
  const head = ['workload', 'gateways', 'gateways, CPU µs', 'model', 'NATS, CPU µs', 'model', 'capacity ×']
  return markdown(head, rows)
}
