// The table of ratios, from medians.
import { figures } from './cases.mjs'

const known = ['net', 'nats', 'ws', 'socket.io']
const roles = ['sender', 'broker', 'receiver']

/** The result with the median of every number in `runs`. */
export function median(runs) {
  const [first] = runs
  return Object.fromEntries(
    Object.keys(first).map(key => {
      const values = runs.map(run => run[key])
      if (typeof first[key] === 'object') return [key, median(values)]
      return [key, values.sort((a, b) => a - b)[(values.length - 1) >> 1]]
    }),
  )
}

/** `medians`: by name of the case, then of the contender. */
export function table(cases, contenders, medians, peers = known) {
  const compared = peers.filter(peer => contenders[peer])
  const head = ['workload', 'contender', 'median', ...compared.map(peer => `÷ ${peer}`), 'CPU µs', ...roles]
  const rows = cases.flatMap(({ name, figure }) =>
    Object.keys(contenders).flatMap(contender => {
      const result = medians[name]?.[contender]
      if (!result) return []
      const ratios = compared.map(peer => ratio(result[figure], medians[name][peer]?.[figure]))
      const cpu = [result.cpu.total, ...roles.map(role => result.cpu[role])]
      return [[name, contender, figures[figure].show(result[figure]), ...ratios, ...cpu.map(significant)]]
    }),
  )
  return markdown(head, rows)
}

/** Columns from the third on are numbers. */
export function markdown(head, rows) {
  const widths = head.map((_, i) => Math.max(3, ...[head, ...rows].map(cells => cells[i].length)))
  const line = cells =>
    `| ${cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`
  const rule = widths.map((width, i) => (i < 2 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

export const ratio = (ours, theirs) => (theirs === undefined ? '' : significant(ours / theirs))

export function significant(x) {
  if (x === undefined) return ''
  if (!Number.isFinite(x)) return '–'
  return Math.abs(x) >= 100 ? Math.round(x).toLocaleString('en-US') : x.toPrecision(x < 1 && x >= 0.1 ? 2 : 3)
}
