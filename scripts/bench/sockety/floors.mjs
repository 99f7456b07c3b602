// What was promised, and whether the medians keep it. All of it a second of CPU.
import { markdown, significant } from '../report.mjs'

/** So many times as much as HTTP/2, clear and over TLS. */
const ratios = [
  ['no response', 40, 20],
  ['short response', 40, 20],
  ['regular response', 40, 20],
  ['1 MiB data', 3, 3],
]
/** What the reference did on a machine of this kind, clear; half as much again is promised. */
const reference = [
  ['no response', 636_000],
  ['short response', 340_000],
  ['regular response', 290_000],
  ['1 MiB data', 1546],
]

export function verdict(ours, of) {
  const rows = []
  const row = (what, floor, measured) =>
    rows.push([
      what,
      `at least ${significant(floor)}`,
      significant(measured),
      measured >= floor ? 'yes' : 'NO',
    ])
  for (const [line, ...floors] of ratios) {
    for (const secure of [false, true]) {
      const ratio = of(ours, secure, line).perCpu / of('http2', secure, line).perCpu
      row(`${line} ÷ HTTP/2${secure ? ', TLS' : ''}`, floors[Number(secure)], ratio)
    }
  }
  for (const [line, theirs] of reference) {
    row(`${line} ÷ reference (${theirs.toLocaleString('en-US')})`, 1.5, of(ours, false, line).perCpu / theirs)
  }
  return markdown(['what', 'floor', 'measured', 'reached'], rows)
}
