// `npm run kinds`: writes lib/engine/kinds.ts from the table in src/boundary/kinds.rs. A test compares the two.
import { run } from './util/run.mjs'

const args = ['test', '--quiet', '--no-default-features', '--test', 'kinds', 'javascript']
const { code } = await run('cargo', args, { env: { WRITE_KINDS: '1' } })
process.exitCode = code
