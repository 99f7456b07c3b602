// Is what npm would publish whole, and nothing but that? Then publint and attw on the same tarball, and it is run.
import { readdirSync, rmSync } from 'node:fs'
import { isWorkingInstalled } from './installed.mjs'
import { bin, run } from './util/run.mjs'
import { subpaths } from './util/subpaths.cjs'

const needed = [
  'package.json',
  'README.md',
  'CHANGELOG.md',
  'LICENSE-MIT',
  'LICENSE-APACHE',
  'native.js',
  'dashboards/selvedge.json',
  'alerts/selvedge.yml',
  'schema/broker.schema.json',
  'schema/users.schema.json',
  ...readdirSync(new URL('../monitor', import.meta.url)).map(name => `monitor/${name}`),
  ...subpaths.flatMap(({ contract, entry, module, declarations, page }) =>
    [contract, entry, module, declarations, page].filter(Boolean),
  ),
  'dist/browser/selvedge.iife.js',
]
const allowed = name => needed.includes(name) || /^dist\/.*\.js$/.test(name)

export async function pack() {
  const { code, text } = await run('npm', ['pack', '--json', '--silent'], { quiet: true })
  if (code !== 0) return complain(text)
  const [{ filename, files, size }] = Object.values(JSON.parse(text.slice(text.search(/^[[{]/m))))
  try {
    const names = files.map(file => file.path)
    const missing = needed.filter(name => !names.includes(name))
    const extra = names.filter(name => !allowed(name))
    console.log(`${filename}: ${names.length} files, ${(size / 1024).toFixed(0)} KiB`)
    if (missing.length > 0) return complain(`not in the package: ${missing.join(', ')}`)
    if (extra.length > 0) return complain(`in the package by mistake: ${extra.join(', ')}`)
    const publint = await bin('publint', filename, '--strict')
    // Sub-paths are in `exports` only, which resolution as of Node.js 10 does not read.
    const attw = await bin(['@arethetypeswrong/cli', 'attw'], filename, '--no-emoji', '--profile', 'node16')
    if (publint.code !== 0 || attw.code !== 0) return false
    return await isWorkingInstalled(filename)
  } finally {
    rmSync(filename, { force: true })
  }
}

function complain(what) {
  console.log(`FAILED ${what}`)
  return false
}
