// The short form of `npm run ends`: real processes with default options are killed, replaced and drained.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const MAIN = join(__dirname, '../../scripts/ends/main.mjs')

// A busy machine is slow, not wrong.
test.each(['kills', 'traffic', 'calls', 'drains'])(
  'ends, as an operator sees them: %s',
  async show => {
    const args = [MAIN, '--short', '--patience', '5', '--only', show]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 280_000 })
    console.info(stdout)
    expect(stdout).toMatch(/^ok: /m)
  },
  300_000,
)
