// Runs every ```js block of README.md and of the pages named below as a program of its own. Expected output, if a block states any, are its
// `console.log(…) // text` comments, in order.
import { readFileSync } from 'node:fs'
import { programs } from './util/programs.mjs'

const pages = ['README.md', 'docs/from-conat.md', 'docs/testing.md', 'docs/authority.md']

export const docs = () => programs(pages.flatMap(blocks))

function blocks(file) {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(({ 1: code, index }) => ({
    name: `${file}:${text.slice(0, index).split('\n').length}`,
    // From stdin a program resolves `selvedge` from the working folder: the package itself.
    args: ['--input-type=module', '-'],
    input: code,
    expected: said(code),
  }))
}

function said(code) {
  const lines = [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(match => match[1])
  return lines.length > 0 ? lines.join('\n') : undefined
}
