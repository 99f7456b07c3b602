// Checks the pages: every ```js block runs as a program of its own, every link leads somewhere, and every file that is named
// exists, also the pages that sources name.
// Expected output, if a block states any, are its `console.log(…) // text` comments, in order.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { programs } from './util/programs.mjs'

const pages = ['.', 'docs'].flatMap(folder =>
  readdirSync(folder, { recursive: folder !== '.', encoding: 'utf8' })
    .filter(name => name.endsWith('.md'))
    .sort()
    .map(name => join(folder, name).replaceAll('\\', '/')),
)

const sources = ['src', 'lib', 'tests', '__test__', 'types', 'fuzz/src', 'benches', 'index.d.ts'].flatMap(
  root =>
    statSync(root).isFile()
      ? [root]
      : readdirSync(root, { recursive: true, encoding: 'utf8' })
          .filter(name => /\.(rs|ts|cjs|txt)$/.test(name))
          .map(name => join(root, name).replaceAll('\\', '/')),
)

export async function docs() {
  const broken = [
    ...pages.flatMap(page => [...brokenLinks(page), ...missingFiles(page)]),
    ...sources.flatMap(missingPages),
  ]
  for (const complaint of broken) console.log(`FAILED ${complaint}`)
  return (await programs(pages.flatMap(blocks))) && broken.length === 0
}

function blocks(file) {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(({ 1: code, index }) => ({
    name: `${file}:${text.slice(0, index).split('\n').length}`,
    // From stdin a program resolves `selvedge` from the working folder: the package itself.
    args: ['--input-type=module', '-'],
    input: code,
    expected: printed(code),
  }))
}

function printed(code) {
  const lines = [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(match => match[1])
  return lines.length > 0 ? lines.join('\n') : undefined
}

/** Links of a page to a file or heading that does not exist. */
function brokenLinks(file) {
  const text = withoutCode(readFileSync(file, 'utf8'))
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
    if (/^[a-z]+:/.test(link)) return []
    const [path, heading] = link.split('#')
    const target = path === '' ? file : join(dirname(file), path)
    if (!existsSync(target)) return [`${file}: ${link}: no such file`]
    if (heading !== undefined && !headings(target).includes(heading))
      return [`${file}: ${link}: no such heading`]
    return []
  })
}

/** Source files in code spans, such as `socket/sender.rs`, that are neither at the root nor in src/ or lib/. */
function missingFiles(file) {
  const spans = withoutCode(readFileSync(file, 'utf8')).matchAll(
    /`((?:[\w-]+\/)+[\w.-]+\.(?:rs|ts|mjs|txt|json))[:`]/g,
  )
  return [...spans]
    .filter(
      ([, path]) => !path.includes('NAME') && !['', 'src', 'lib'].some(root => existsSync(join(root, path))),
    )
    .map(([, path]) => `${file}: no such file: ${path}`)
}

/** Pages that a source file refers to and that do not exist. */
function missingPages(file) {
  const named = readFileSync(file, 'utf8').matchAll(/docs\/[\w/-]+\.md/g)
  return [...named].filter(([page]) => !existsSync(page)).map(([page]) => `${file}: no such page: ${page}`)
}

/** The anchors of a page's headings, as GitHub makes them. */
function headings(file) {
  return [...withoutCode(readFileSync(file, 'utf8')).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

const withoutCode = text => text.replaceAll(/^```[\s\S]*?^```$/gm, '')
