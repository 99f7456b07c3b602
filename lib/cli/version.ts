import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const { version: found } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as {
  version: string
}

/** The version of the package. */
export const version = found
