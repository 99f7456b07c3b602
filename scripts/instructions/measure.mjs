// Builds the program with the scenarios (benches/work.rs) and counts what they do.
import { run } from '../util/run.mjs'

// The difference of the two is the work; what comes before it (start, handshakes) falls out.
const few = 1000
const many = 3000
// Minutes of subscribing under valgrind. `cargo bench --bench micro` times it.
const slow = ['route-100000']

const tools = {
  instructions: {
    args: ['--tool=callgrind', '--callgrind-out-file=/dev/null'],
    pattern: /Collected : (\d+)/,
  },
  allocations: {
    args: ['--tool=memcheck', '--leak-check=no', '--undef-value-errors=no'],
    pattern: /total heap usage: ([\d,]+) allocs/,
  },
}

/** By scenario `{instructions, allocations}` a message; `undefined` when it does not build or run. */
export async function measure() {
  const program = await build()
  if (!program) return
  const { text } = await run(program, [], { quiet: true })
  const counts = {}
  for (const name of text.trim().split('\n')) {
    if (slow.includes(name)) continue
    const [instructions, allocations] = await Promise.all(
      Object.values(tools).map(tool => perMessage(program, name, tool)),
    )
    if (Number.isNaN(instructions + allocations))
      return console.log(`FAILED ${name}: valgrind counted nothing`)
    counts[name] = { instructions: Math.round(instructions), allocations: Number(allocations.toFixed(2)) }
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

async function perMessage(program, name, tool) {
  const count = async messages => {
    const { code, text } = await run('valgrind', [...tool.args, program, name, String(messages)], {
      quiet: true,
    })
    return code === 0 ? Number(tool.pattern.exec(text)?.[1].replaceAll(',', '')) : Number.NaN
  }
  return ((await count(many)) - (await count(few))) / (many - few)
}
