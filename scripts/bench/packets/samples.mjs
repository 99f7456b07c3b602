// Typical packets, with values that differ: what is encoded and decoded.
const COUNT = 64

/** Not 0, which protobuf leaves out. */
const below = bound => 1 + Math.floor(Math.random() * (bound - 1))
const times = (count, make) => Array.from({ length: count }, make)
const letters = count => times(count, () => String.fromCharCode(97 + below(26))).join('')
const greek = count => times(count, () => String.fromCharCode(0x3b1 + below(20))).join('')
const coordinate = () => Math.fround(Math.random() * 1000 - 500)

const move = () => ({ id: below(2 ** 32), x: coordinate(), y: coordinate(), name: letters(6) })
const chat = text => () => ({
  room: letters(8),
  from: letters(6),
  text: text(),
  at: Date.now() + below(1e6) + 0.5,
  tags: [letters(4), letters(5)],
})
const unit = () => ({ id: below(65_536), x: coordinate(), y: coordinate(), hp: below(256) })
const snap = count => () => ({ tick: below(1e6), units: times(count, unit) })

/** `counted`: those of the floors. */
export const samples = [
  { name: 'move', kind: 'move', make: move, counted: true },
  { name: 'chat 16', kind: 'chat', make: chat(() => letters(16)), counted: true },
  { name: 'chat 256', kind: 'chat', make: chat(() => letters(256)), counted: true },
  { name: 'chat 4096', kind: 'chat', make: chat(() => letters(4096)) },
  { name: 'chat 256 Greek', kind: 'chat', make: chat(() => greek(256)) },
  { name: 'snap 10', kind: 'snap', make: snap(10), counted: true },
  { name: 'snap 100', kind: 'snap', make: snap(100), counted: true },
  { name: 'snap 1000', kind: 'snap', make: snap(1000) },
].map(({ make, ...sample }) => ({ ...sample, values: times(COUNT, make) }))
