// What runs, and where.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Families } from './families'

let labels: { version: string; node: string; platform: string } | undefined

export function addBuild(families: Families): Families {
  labels ??= {
    version: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  }
  return families.add('selvedge_build_info', 1, labels)
}

/** In a bundle there is no such file. */
export function packageVersion(): string {
  try {
    const text = readFileSync(join(__dirname, '../../package.json'), 'utf8')
    return (JSON.parse(text) as { version: string }).version
  } catch {
    return 'unknown'
  }
}
