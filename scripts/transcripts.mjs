// `npm run transcripts`: writes tests/data/socket/transcripts.jsonl from the simulation. A test compares the two. With a file
// and a number it writes that many of other seeds there, for a long look: `TRANSCRIPTS=FILE npx jest browser/transcripts`.
import { resolve } from 'node:path'
import { run } from './util/run.mjs'

const [file, seeds = '1000'] = process.argv.slice(2)
const args = ['test', '--quiet', '--no-default-features', '--test', 'sim', 'transcripts::']
const env =
  file === undefined ? { WRITE_TRANSCRIPTS: '1' } : { WRITE_OTHER_TRANSCRIPTS: `${resolve(file)} ${seeds}` }
const { code } = await run('cargo', args, { env })
process.exitCode = code
