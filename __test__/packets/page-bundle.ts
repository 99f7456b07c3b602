// `selvedge/packets` as one script for a page: what `require` finds from its entry on, and nothing else. Fails when that is a
// module of Node.
import { readFileSync } from 'node:fs'
import { builtinModules, createRequire } from 'node:module'

/** Returns a script that puts the module into the global `packets`. */
export function pageBundle(): string {
  const files = new Map<string, string>()
  const entry = require.resolve('selvedge/packets')
  collect(entry, files)
  const modules = [...files].map(
    ([file, code]) => `${JSON.stringify(file)}: function (module, exports, require) {\n${code}\n}`,
  )
  return `(() => {
    const files = {${modules.join(',\n')}}
    const loaded = new Map()
    const load = file => {
      if (!loaded.has(file)) {
        const module = { exports: {} }
        loaded.set(file, module)
        files[file](module, module.exports, name => load(links[file][name]))
      }
      return loaded.get(file).exports
    }
    const links = ${JSON.stringify(Object.fromEntries(links))}
    globalThis.packets = load(${JSON.stringify(entry)})
  })()`
}

/** What each file calls the files that it requires. */
const links = new Map<string, Record<string, string>>()

function collect(file: string, files: Map<string, string>): void {
  if (files.has(file)) return
  const code = readFileSync(file, 'utf8')
  files.set(file, code)
  const found: Record<string, string> = {}
  for (const [, name] of code.matchAll(/\brequire\("([^"]+)"\)/g)) {
    if (name!.startsWith('node:') || builtinModules.includes(name!)) throw Error(`${file} requires ${name}`)
    found[name!] = createRequire(file).resolve(name!)
    collect(found[name!]!, files)
  }
  links.set(file, found)
}
