// `npm run lock`: completes package-lock.json after `npm install` from a registry that does not have the packages of
// other platforms. npm leaves those out, and `npm ci` then refuses the file, everywhere. Added without `integrity`.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('../package-lock.json', import.meta.url))
const lock = JSON.parse(readFileSync(file, 'utf8'))
const added = []

for (const { optionalDependencies = {}, dev } of Object.values({ ...lock.packages })) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const key = `node_modules/${name}`
    if (lock.packages[key]) continue
    if (!/^\d+\.\d+\.\d+/.test(version)) throw Error(`${name} is missing, and ${version} is no exact version`)
    lock.packages[key] = { version, ...platform(name), dev, optional: true }
    added.push(name)
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1))
writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
console.log(`${added.length} packages of other platforms added`)

/** What such a package says of itself, read off its name: `@biomejs/cli-linux-arm64-musl`. */
function platform(name) {
  const words = name.split(/[/-]/)
  const found = list => list.filter(word => words.includes(word))
  const os = found([
    'aix',
    'android',
    'darwin',
    'freebsd',
    'linux',
    'netbsd',
    'openbsd',
    'openharmony',
    'sunos',
    'win32',
  ])
  const cpu = found([
    'arm',
    'arm64',
    'ia32',
    'loong64',
    'mips64el',
    'ppc64',
    'riscv64',
    's390x',
    'wasm32',
    'x64',
  ])
  const libc = words.includes('musl') ? ['musl'] : words.some(word => word.startsWith('gnu')) ? ['glibc'] : []
  return {
    ...(os.length > 0 && { os }),
    ...(cpu.length > 0 && { cpu }),
    ...(libc.length > 0 && os.includes('linux') && { libc }),
  }
}
