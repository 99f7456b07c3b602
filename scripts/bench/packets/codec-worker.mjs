// Measures the codecs in a process of its own: CPU time a message, the best of interleaved rounds.
import { codecs } from './codecs.mjs'
import { samples } from './samples.mjs'

const [rounds, dur] = process.argv.slice(2).map(Number)
const cpu = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}

const results = {}
for (const { name, kind, values } of samples) {
  const runs = Object.entries(codecs).map(([codec, kinds]) => runOf(codec, kinds[kind], values))
  for (let round = 0; round < rounds; round++) {
    for (const run of runs) {
      run.encode = Math.min(run.encode, measure(run, 'encode'))
      run.decode = Math.min(run.decode, measure(run, 'decode'))
    }
  }
  results[name] = Object.fromEntries(
    runs.map(({ name, encode, decode, bytes }) => [name, { encode, decode, bytes }]),
  )
}
process.send({ results }, () => process.exit(0))

function runOf(name, codec, values) {
  // Copies, since some hand out views of memory that they use again.
  const buffers = values.map(value => Buffer.from(codec.encode(value)))
  const isWhole = buffers.every((bytes, i) => isLike(codec.decode(bytes), values[i]))
  if (!isWhole) throw Error(`${name} does not bring it back`)
  const bytes = buffers.reduce((sum, { length }) => sum + length, 0) / buffers.length
  const tasks = {
    encode: i => codec.encode(values[i]).length,
    decode: i => codec.decode(buffers[i]),
  }
  return {
    name,
    tasks,
    bytes,
    encode: Number.POSITIVE_INFINITY,
    decode: Number.POSITIVE_INFINITY,
    counts: {},
  }
}

/** Nanoseconds of the processor a message. */
function measure({ tasks, counts }, what) {
  const task = tasks[what]
  counts[what] ??= calibrated(task)
  const count = counts[what]
  const start = cpu()
  for (let i = 0; i < count; i++) task(i & 63)
  return ((cpu() - start) * 1000) / count
}

/** How many take about `dur` ms, once the engine knows them. */
function calibrated(task) {
  for (let count = 64; ; count *= 2) {
    const start = performance.now()
    for (let i = 0; i < count; i++) task(i & 63)
    const took = performance.now() - start
    if (took > dur / 2) return Math.max(64, Math.round((count * dur) / took))
  }
}

/** As far as all codecs go: protobufjs decodes into classes of its own, and schemapack sorts the keys. */
function isLike(actual, value) {
  return sorted(JSON.parse(JSON.stringify(actual))) === sorted(value)
}

function sorted(value) {
  const byKey = entries => Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)))
  const isObject = inside => typeof inside === 'object' && !Array.isArray(inside)
  return JSON.stringify(value, (_, inside) => (isObject(inside) ? byKey(inside) : inside))
}
