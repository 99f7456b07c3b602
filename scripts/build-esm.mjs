// After tsc: writes what `import` gets of each module of the package, and takes out of dist/ what no source stands for
// any more. The state lives once, in the CommonJS build: an `.mjs` re-exports it by name.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { subpaths } from './util/subpaths.cjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const written = new Set()
for (const { contract, source, entry, module, declarations } of subpaths) {
  const names = namesOf(source)
  write(
    module,
    `import module from '${from(module, entry)}'\n\nexport const {\n${names.map(name => `  ${name},\n`).join('')}} = module\nexport default module\n`,
  )
  // A `.js` stands for the `.d.ts` beside it.
  const types = from(declarations, contract.replace(/\.d\.ts$/, '.js'))
  write(declarations, `export * from '${types}'\nimport * as all from '${types}'\nexport default all\n`)
}
prune()

/** The values that an index file exports. It only passes on: `export { a, type B, c as d } from './file'`, and `import './file'`. */
function namesOf(source) {
  const code = readFileSync(source, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$|^import '\.[^']*'$/gm, '')
  const statement = /\s*export (type )?\{([^}]*)\} from '[^']*'\s*/gy
  const names = []
  for (let match = statement.exec(code); match !== null; match = statement.exec(code)) {
    const items = match[2].split(',').map(item => item.trim())
    const values = items.filter(item => item !== '' && !match[1] && !item.startsWith('type '))
    names.push(...values.map(item => item.split(' as ').at(-1)))
    if (statement.lastIndex === code.length) return names.sort()
  }
  throw Error(`${source}: an index file has only statements like: export { a, type B, c as d } from './file'`)
}

function from(file, other) {
  return posix.relative(posix.dirname(file), other).replace(/^(?!\.)/, './')
}

function write(file, text) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  written.add(file)
}

function prune() {
  const files = readdirSync('dist', { recursive: true, withFileTypes: true }).filter(each => each.isFile())
  const sources = new Set(readdirSync('lib', { recursive: true, encoding: 'utf8' }).map(posixPath))
  for (const { parentPath, name } of files) {
    const file = posixPath(join(parentPath, name))
    const source = file.slice('dist/'.length).replace(/\.js$/, '.ts')
    if (!written.has(file) && !sources.has(source)) rmSync(file)
  }
}

function posixPath(path) {
  return path.replaceAll('\\', '/')
}
