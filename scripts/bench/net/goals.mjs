// What was promised beside a proxy, and whether the medians keep it.
import { markdown, ratio, significant } from '../report.mjs'
import { lines, memoryLines } from './lines.mjs'

const OURS = 'selvedge/net'

export function verdict(medians) {
  const rows = lines.flatMap(({ name, figure, goal, goals = {} }) =>
    Object.entries({ ...(goal === undefined ? {} : { [OURS]: goal }), ...goals }).flatMap(([way, bound]) => {
      const [ours, theirs] = [medians[name]?.[way]?.[figure], medians[name]?.proxy?.[figure]]
      if (ours === undefined || theirs === undefined) return []
      const isLess = figure === 'p50'
      const isReached = isLess ? ours / theirs <= bound : ours / theirs >= bound
      const promise = `at ${isLess ? 'most' : 'least'} ${significant(bound)} × proxy`
      return [[name, way, promise, ratio(ours, theirs), isReached ? 'yes' : 'NO']]
    }),
  )
  for (const { name, atMost } of memoryLines) {
    const grown = medians[name]?.[OURS]?.memory
    if (grown === undefined) continue
    const promise = `at most ${significant(atMost / 1024)} KiB`
    rows.push([name, OURS, promise, `${significant(grown / 1024)} KiB`, grown <= atMost ? 'yes' : 'NO'])
  }
  return markdown(['line', 'way', 'goal', 'measured', 'reached'], rows)
}
