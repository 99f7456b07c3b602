// Builds the documentation site: the pages of ../docs as they are, the examples, and the reference of the API from the
// contracts. Ends with 1 if a link is dead, a page cannot be reached, or an export has no page.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CONTRACTS, DEPLOYED, EXTRA_PAGES, SECTIONS } from './contents.mjs'

const SITE = dirname(fileURLToPath(import.meta.url))
const ROOT = dirname(SITE)
const SOURCE = join(SITE, '.build')
const OUTPUT = join(SITE, 'dist')
const text = file => readFileSync(join(ROOT, file), 'utf8')

rmSync(SOURCE, { recursive: true, force: true })
rmSync(OUTPUT, { recursive: true, force: true })
cpSync(join(ROOT, 'docs'), SOURCE, { recursive: true })

writeApi()
const examples = writeExamples()
writeExtraPages()
for (const page of markdown(SOURCE)) if (!page.startsWith('api/')) rewriteLinks(page)
writeSidebar()
run(join(SITE, 'node_modules/vitepress/bin/vitepress.js'), ['build', '.', '--outDir', OUTPUT])
const complaints = [...unreachedPages(), ...missingExports(), ...outsideRequests()]
for (const complaint of complaints) console.log(`FAILED ${complaint}`)
console.log(`${markdown(SOURCE).length} pages, ${complaints.length} complaints`)
process.exitCode = complaints.length === 0 ? 0 : 1

function run(program, args) {
  const { status } = spawnSync(process.execPath, [program, ...args], { cwd: SITE, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

function markdown(folder) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return files.filter(name => name.endsWith('.md')).map(name => name.replaceAll('\\', '/'))
}

function write(page, content) {
  mkdirSync(dirname(join(SOURCE, page)), { recursive: true })
  writeFileSync(join(SOURCE, page), content)
}

/** A page for each thing that a contract exports. */
function writeApi() {
  run(join(SITE, 'node_modules/typedoc/bin/typedoc'), [
    ...Object.keys(CONTRACTS).flatMap(file => ['--entryPoints', relative(SITE, join(ROOT, file))]),
    ...['--out', '.build/api', '--options', 'typedoc.json'],
  ])
}

function writeExamples() {
  const names = readdirSync(join(ROOT, 'examples')).filter(name => name.endsWith('.mjs'))
  for (const name of names) {
    write(`examples/${name.replace('.mjs', '.md')}`, page(name, 'js', text(`examples/${name}`)))
  }
  for (const file of DEPLOYED)
    write(`files/${file.replaceAll('.', '-')}.md`, page(file, language(file), text(file)))
  return names
}

function page(title, kind, code) {
  return `# ${title}\n\n\`\`\`\`${kind}\n${code}\`\`\`\`\n`
}

function language(file) {
  return (
    { yaml: 'yaml', yml: 'yaml', jsonc: 'jsonc', service: 'ini', html: 'html' }[file.split('.').at(-1)] ??
    'text'
  )
}

function writeExtraPages() {
  for (const [file, target] of Object.entries(EXTRA_PAGES)) write(target, text(file))
}

/** Links out of docs/ lead to the page of that file; a file without one is named and not linked. */
function rewriteLinks(page) {
  const origin = Object.entries(EXTRA_PAGES).find(([, target]) => target === page)?.[0] ?? `docs/${page}`
  const file = join(SOURCE, page)
  const found = readFileSync(file, 'utf8').split(/(^```[\s\S]*?^```$)/m)
  const rewritten = found.map((part, at) => {
    if (at % 2 === 1) return part
    return part.replace(/(!?)\[([^\]]*)\]\(([^)\s]+)\)/g, (whole, image, label, link) => {
      if (/^([a-z]+:|#)/.test(link)) return whole
      const [path, heading] = link.split('#')
      const target = pageOf(posix.normalize(posix.join(posix.dirname(origin), path)))
      if (target === undefined) return label
      return `${image}[${label}](/${target}${heading === undefined ? '' : `#${heading}`})`
    })
  })
  writeFileSync(file, rewritten.join(''))
}

function pageOf(file) {
  if (file in EXTRA_PAGES) return EXTRA_PAGES[file]
  if (file in CONTRACTS) return `api/${CONTRACTS[file]}/index.md`
  if (file.startsWith('docs/')) return file.slice('docs/'.length)
  const [, example] = /^examples\/([^/]+)\.mjs$/.exec(file) ?? []
  if (example !== undefined) return `examples/${example}.md`
  if (DEPLOYED.includes(file)) return `files/${file.replaceAll('.', '-')}.md`
  const inside = DEPLOYED.find(name => name.startsWith(`${file.replace(/\/$/, '')}/`))
  return inside === undefined ? undefined : `files/${inside.replaceAll('.', '-')}.md`
}

function writeSidebar() {
  const items = pages => pages.map(page => ({ text: titleOf(page), link: `/${page}` }))
  const sidebar = [
    ...Object.entries(SECTIONS).map(([name, pages]) => ({ text: name, items: items(pages) })),
    {
      // A list of each contract: all of their names here would be in every page.
      text: 'API',
      items: Object.entries(CONTRACTS).map(([file, folder]) => ({
        text: file === 'index.d.ts' ? 'selvedge' : `selvedge/${folder.slice('types/'.length)}`,
        link: `/api/${folder}/index.md`,
      })),
    },
    {
      text: 'Examples',
      collapsed: true,
      items: items(examples.map(name => `examples/${name.replace('.mjs', '.md')}`)),
    },
    {
      text: 'Files',
      collapsed: true,
      items: items(DEPLOYED.map(file => `files/${file.replaceAll('.', '-')}.md`)),
    },
  ]
  writeFileSync(join(SOURCE, 'sidebar.json'), JSON.stringify(sidebar))
}

function titleOf(page) {
  const [, title] = /^# (.*)$/m.exec(readFileSync(join(SOURCE, page), 'utf8')) ?? []
  return (title ?? page).replaceAll('`', '')
}

/** Pages that the sidebar does not lead to. */
function unreachedPages() {
  const sidebar = readFileSync(join(SOURCE, 'sidebar.json'), 'utf8')
  const own = markdown(SOURCE).filter(page => !page.startsWith('api/') && page !== 'index.md')
  return own.filter(page => !sidebar.includes(`"/${page}"`)).map(page => `${page} is in no section`)
}

/** Names of the contracts without a page. */
function missingExports() {
  return Object.entries(CONTRACTS).flatMap(([file, folder]) => {
    const names = [
      ...text(file).matchAll(
        /^export (?:declare )?(?:abstract )?(?:class|function|interface|type|const) (\w+)/gm,
      ),
    ]
    const pages = new Set(
      markdown(join(SOURCE, 'api', folder)).map(page => page.split('/').at(-1).replace('.md', '')),
    )
    return [...new Set(names.map(([, name]) => name))]
      .filter(name => !pages.has(name))
      .map(name => `${file}: ${name} has no page`)
  })
}

/** Whatever a page of the site would load from elsewhere. */
function outsideRequests() {
  const files = readdirSync(OUTPUT, { recursive: true, encoding: 'utf8' }).filter(name =>
    name.endsWith('.html'),
  )
  return files.flatMap(name => {
    const html = readFileSync(join(OUTPUT, name), 'utf8')
    const loaded = [
      ...html.matchAll(/<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="((?:https?:)?\/\/[^"]*)"/g),
    ]
    return loaded.map(([, url]) => `${name} loads ${url}`)
  })
}
