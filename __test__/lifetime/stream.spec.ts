// A long stream to a reader that stops for a while: what each process holds stays within the windows.
// `SELVEDGE_LONG=1` streams 1 GB and stops for 10 s, as reliability.md asks; without it a quarter of that.
import { type Program, start } from './run'

const IS_LONG = process.env.SELVEDGE_LONG === '1'
const [TOTAL, PAUSE] = IS_LONG ? [1e9, 10_000] : [256e6, 2000]
const MIB = 1024 * 1024
/** MiB: the `maxQueueBytes` of the writer, and what a process may need beside it. */
const MOST_GROWTH = 16 + 32

interface Told {
  address?: string
  grown: number
  read?: number
  inOrder?: boolean
  full?: boolean
}

const last = (program: Program): Told => JSON.parse(program.output().trim().split('\n').at(-1)!)

test.each([
  ['conat', 64 * 1024],
  ['conat', MIB],
  ['selvedge', 64 * 1024],
  ['selvedge', MIB],
])(
  'wire %s, messages of %i bytes',
  async (wire, size) => {
    const node = ['--expose-gc', '--no-warnings']
    const broker = start('stream.mjs', ['broker'], { node })
    await broker.printed('address')
    const place = [last(broker).address!, wire, String(size), String(TOTAL), String(PAUSE)]
    const reader = start('stream.mjs', ['reader', ...place], { node })
    await reader.printed('reader')
    const writer = start('stream.mjs', ['writer', ...place, String(broker.child.pid)], { node })
    for (const program of [writer, reader]) {
      const { code, stderr } = await program.ended
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    }
    broker.child.kill('SIGUSR2')
    await broker.ended
    const [wrote, routed, read] = [writer, broker, reader].map(
      program => last(program).grown / MIB,
    ) as number[]
    const grown = { wrote, routed, read }
    if (IS_LONG) process.stderr.write(`${wire}, ${size}: grew by MiB ${JSON.stringify(grown)}\n`)
    expect(last(reader)).toMatchObject({ read: Math.ceil(TOTAL / size), inOrder: true })
    expect(last(writer)).toMatchObject({ full: true })
    // All three are shown when one is too much.
    const most = Object.values(grown).every(mib => mib! < MOST_GROWTH) ? grown : { most: MOST_GROWTH }
    expect(grown).toEqual(most)
  },
  60_000,
)
