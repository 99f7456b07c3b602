// The declarations as programs compile them: the oldest TypeScript that they are for and the one of here, the oldest types of
// Node.js and the newest, both ways to resolve modules, and everything strict, also in the declarations themselves.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { subpaths } from '../../scripts/util/subpaths.cjs'

const ROOT = join(__dirname, '../..')
const PACKAGES = join(ROOT, 'node_modules')
const OLD = join(__dirname, 'old-typescript/node_modules')

/** Programs that compile, with lines that do not. */
const PROGRAMS = [
  'package/types.test-d.ts',
  'package/typed.test-d.ts',
  'browser/types.test-d.ts',
  'net/types.test-d.ts',
]

let folder: string

/** A project that has installed selvedge. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-types-'))
  const installed = join(folder, 'node_modules/selvedge')
  for (const file of ['package.json', 'index.d.ts', 'types'])
    cpSync(join(ROOT, file), join(installed, file), { recursive: true })
  const modules = readdirSync(join(ROOT, 'dist/esm')).filter(name => name.endsWith('.d.mts'))
  for (const name of modules) cpSync(join(ROOT, 'dist/esm', name), join(installed, 'dist/esm', name))
  for (const name of ['@opentelemetry', '@msgpack'])
    symlinkSync(join(PACKAGES, name), join(folder, 'node_modules', name))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const program of PROGRAMS)
    cpSync(join(ROOT, '__test__', program), join(folder, program.replace('/', '-')))
  const every = subpaths.map(({ specifier, name }) => `export * as ${name} from '${specifier}'\n`)
  writeFileSync(join(folder, 'every.ts'), every.join(''))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function compile(typescript: string, types: string, resolution: 'nodenext' | 'bundler'): string[] {
  const scope = join(folder, 'node_modules/@types')
  rmSync(scope, { recursive: true, force: true })
  mkdirSync(scope)
  symlinkSync(join(types, '@types/node'), join(scope, 'node'))
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        lib: ['es2022', 'esnext.disposable'],
        module: resolution === 'bundler' ? 'esnext' : 'nodenext',
        moduleResolution: resolution,
        types: ['node'],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        noEmit: true,
      },
    }),
  )
  const compiler = join(typescript, 'typescript/bin/tsc')
  const { stdout, stderr } = spawnSync(process.execPath, [compiler, '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  })
  // Others' declarations may be too new for a TypeScript.
  const isOurs = (line: string) => /^\S+\(\d+,\d+\): /.test(line) && !line.includes('@types/node')
  return `${stdout}${stderr}`.split('\n').filter(isOurs)
}

test.each([
  ['5.4', 'oldest', OLD, PACKAGES],
  ['7', 'oldest', PACKAGES, PACKAGES],
  ['7', 'newest', PACKAGES, OLD],
])(
  'TypeScript %s, the %s types of Node.js',
  (_version, _types, typescript, types) => {
    expect(compile(typescript, types, 'nodenext')).toEqual([])
    expect(compile(typescript, types, 'bundler')).toEqual([])
  },
  120_000,
)
