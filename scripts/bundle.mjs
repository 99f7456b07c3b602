// After tsc: makes one file of a sub-path whose many small ones would take longer to load than all that is in them. Its entry
// is replaced; what it requires of itself is in it, other packages stay outside. Comments and long local names are left out: V8
// reads all of it at each start.

import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { minifySync } from '@swc/core'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const ENTRIES = ['dist/packets/index.js']
const RELATIVE = /\brequire\("(\.[^"]*)"\)/g
const MARK = '// Made by scripts/bundle.mjs of the files beside this one.'

for (const entry of ENTRIES) {
  const modules = new Map()
  collect(entry, modules)
  writeFileSync(entry, bundle(entry, modules))
}

/** Files by path, those that are required before those that require them. */
function collect(file, modules) {
  if (modules.has(file)) return
  const code = readFileSync(file, 'utf8')
  if (code.startsWith(MARK)) throw Error(`${file} is a bundle already: run tsc before`)
  modules.set(file, code)
  for (const [, name] of code.matchAll(RELATIVE)) collect(resolved(file, name), modules)
}

function resolved(file, name) {
  return `${posix.join(dirname(file), name)}.js`
}

/** The names of functions and classes are seen in stacks, and by programs. */
function small(code) {
  const mangle = { toplevel: false, keep_classnames: true, keep_fnames: true }
  return minifySync(code, { module: false, compress: false, mangle, format: { comments: false } }).code
}

function bundle(entry, modules) {
  const names = [...modules.keys()]
  const functions = names.map(file => {
    const code = modules
      .get(file)
      .replace(RELATIVE, (_, name) => `load(${names.indexOf(resolved(file, name))})`)
    // In parentheses V8 compiles it at once, and does not look through it first.
    return `// ${posix.relative(dirname(entry), file)}\n((module, exports) => {\n${small(code.replace(/^"use strict";\n/, ''))}})`
  })
  return `${MARK}
"use strict";
const modules = [
${functions.join(',\n')},
];
const loaded = [];
function load(index) {
  if (loaded[index] === undefined) {
    loaded[index] = { exports: {} };
    modules[index](loaded[index], loaded[index].exports);
  }
  return loaded[index].exports;
}
module.exports = load(${names.indexOf(entry)});
`
}
