// Builds the program with the scenarios (benches/work.rs) and counts what they do.
import { run } from '../util/run.mjs'

// The difference of the two is the work; what comes before it (start, handshakes) falls out.
const few = 1000
const many = 3000
// Minutes of subscribing under valgrind. `cargo bench --bench micro` times it.
const slow = ['route-100000']

const tools = {
  callgrind: {
    args: ['--tool=callgrind', '--callgrind-out-file=/dev/null'],
    patterns: { instructions: /Collected : (\d+)/ },
  },
  memcheck: {
    args: ['--tool=memcheck', '--leak-check=no', '--undef-value-errors=no'],
    patterns: { allocations: /total heap usage: ([\d,]+) allocs/, kept: /in use at exit: ([\d,]+) bytes/ },
  },
}

/** By scenario `{instructions, allocations, kept}` a message, the last in bytes; `undefined` when it does not build or run. */
export async function measure() {
  const program = await build()
  if (!program) return
  const { text } = await run(program, [], { quiet: true })
  const counts = {}
  for (const name of text.trim().split('\n')) {
    if (slow.includes(name)) continue
    const counted = await Promise.all(Object.values(tools).map(tool => perMessage(program, name, tool)))
    const { instructions, allocations, kept } = Object.assign({}, ...counted)
    if (Number.isNaN(instructions + allocations + kept))
      return console.log(`FAILED ${name}: valgrind counted nothing`)
    counts[name] = {
      instructions: Math.round(instructions),
      allocations: Number(allocations.toFixed(2)),
      kept: Math.round(kept),
    }
  }
  return counts
}

async function build() {
  const args = ['build', '--profile', 'counted', '--no-default-features', '--bench', 'work']
  if ((await run('cargo', args)).code !== 0) return
  // Once more, for its path.
  const { text } = await run('cargo', [...args, '--message-format', 'json'], { quiet: true })
  const built = text.split('\n').filter(line => line.includes('"executable":"'))
  return JSON.parse(built.at(-1)).executable
}

async function perMessage(program, name, { args, patterns }) {
  const count = async messages => {
    const { text } = await run('valgrind', [...args, program, name, String(messages)], { quiet: true })
    return unit => Number(patterns[unit].exec(text)?.[1].replaceAll(',', ''))
  }
  const [all, start] = [await count(many), await count(few)]
  const units = Object.keys(patterns)
  return Object.fromEntries(units.map(unit => [unit, (all(unit) - start(unit)) / (many - few)]))
}
