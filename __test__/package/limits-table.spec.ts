// The numbers in docs/reference/limits.md are the code's.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type LimitRow, limitRows, numberOf } from '../support/limits'

const ROOT = join(__dirname, '../..')

/** What the code says: of a constant, of an option in its shape, or of a field where its type's defaults are. */
function coded({ file, name }: LimitRow): number {
  const code = readFileSync(join(ROOT, file), 'utf8')
  const isConstant = name === name.toUpperCase()
  const isOption = file.endsWith('/options.ts')
  const pattern = isConstant
    ? `const ${name}(?:: \\w+)? = ([^;\\n]+)`
    : isOption
      ? `^  ${name}: \\{[^}]*\\bdefault: ([^,}]+)`
      : `^            ${name}: ([^\\n]+),$`
  const expression = new RegExp(pattern, 'm').exec(code)?.[1]
  if (expression === undefined) throw Error(`${file} has no ${name}`)
  return evaluate(expression, file)
}

/** The module above, as files are laid out here. */
const parentOf = (file: string) => `${file.slice(0, file.lastIndexOf('/'))}.rs`

function evaluate(expression: string, file: string): number {
  const plain = expression
    .replace(/Duration::from_secs\(([\d_]+)\)/, '$1 * 1000')
    .replace(/Duration::from_millis\(([\d_]+)\)/, '$1')
    .replace(/\bsuper::([A-Z_]+)\b/g, (_, name) =>
      String(coded({ what: '', most: '', file: parentOf(file), name })),
    )
    .replace(/\b[A-Z][A-Z_]+\b/g, name => String(coded({ what: '', most: '', file, name })))
  if (!/^[\d_ *+-]+$/.test(plain)) throw Error(`not understood: ${expression}`)
  return Function(`return ${plain}`)() as number
}

test('every number in the table is the one in the code', () => {
  const all = limitRows()
  expect(all.length).toBeGreaterThan(40)
  for (const row of all) expect([row.what, numberOf(row.most)]).toEqual([row.what, coded(row)])
})

test('every row but those without a number names its place', () => {
  const text = readFileSync(join(ROOT, 'docs/reference/limits.md'), 'utf8')
  const lines = text.split('\n').filter(line => line.startsWith('| ') && !/^\| (what|---)/.test(line))
  const unnamed = lines.filter(line => !/` `[^`]+` \|$/.test(line))
  expect(unnamed).toEqual([expect.stringContaining('one read')])
})
