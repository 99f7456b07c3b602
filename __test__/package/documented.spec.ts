// Each name that a contract exports says what it is, in a comment before one of its declarations: overloads and what is merged
// have one of them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(__dirname, '../..')
const CONTRACTS = [
  'index.d.ts',
  ...readdirSync(join(ROOT, 'types'))
    .filter(name => name.endsWith('.d.ts'))
    .map(name => `types/${name}`),
]
const EXPORT =
  /^export (?:declare )?(?:abstract )?(?:class|const|enum|function|interface|namespace|type) (?:\{ (?:\w+ as )?)?(\w+)/

function undocumented(contract: string): string[] {
  const documented = new Map<string, boolean>()
  let comment = ''
  for (const line of contract.split('\n')) {
    const name = EXPORT.exec(line)?.[1]
    if (name !== undefined) documented.set(name, documented.get(name) || saysSomething(comment))
    const isComment = /^(?:\/\*\*| \*)/.test(line)
    if (isComment) comment = line.startsWith('/**') ? line : `${comment}\n${line}`
    // What the linter is told stands between.
    else if (!line.startsWith('// biome-ignore')) comment = ''
  }
  return [...documented].flatMap(([name, isDocumented]) => (isDocumented ? [] : [name]))
}

/** Tags alone do not. */
function saysSomething(comment: string): boolean {
  return /\w/.test(comment.split('@')[0]!)
}

test.each(CONTRACTS)('every export of %s has a comment', path => {
  expect(undocumented(readFileSync(join(ROOT, path), 'utf8'))).toEqual([])
})

test('an export without a comment is found, and so is one with tags alone', () => {
  const contract = `
/** The first. */
// biome-ignore lint/x: as said
export interface One {
  /** Not of the next. */
  two: Two
}
export type Two = 2
/** @internal */
export declare const three: 3
/**
 * The fourth.
 *
 * @example
 */
export declare function four(): void
export declare function four(more: 4): void

export type { Five }
`
  expect(undocumented(contract)).toEqual(['Two', 'three', 'Five'])
})
