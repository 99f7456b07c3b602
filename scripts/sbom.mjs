// The bill of materials of what is shipped, CycloneDX 1.5: the JavaScript that npm installs with it, and the crates in the
// addon. `node scripts/sbom.mjs [--target TRIPLE]`: to standard output; `--packages`: of each platform, into its package.
// Not by `npm sbom`, which leaves out a dependency that package-lock.json has.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const option = name => {
  const at = process.argv.indexOf(name)
  return at < 0 ? undefined : process.argv[at + 1]
}
const read = file => JSON.parse(readFileSync(file, 'utf8'))

function library(type, name, version, license, hash) {
  return {
    'bom-ref': `${type}:${name}@${version}`,
    type: 'library',
    name,
    version,
    scope: 'required',
    purl: `pkg:${type}/${name.replace('@', '%40')}@${version}`,
    ...(hash === undefined ? {} : { hashes: [hash] }),
    ...(license ? { licenses: [{ expression: license }] } : {}),
  }
}

/** What `npm install --omit=dev` brings. */
function modules() {
  const all = Object.entries(read('package-lock.json').packages)
  const isLeftOut = ({ dev, peer, optional, link }) => dev || peer || optional || link
  const needed = all.filter(([path, entry]) => path !== '' && !isLeftOut(entry))
  return needed.map(([path, { version, license, integrity }]) => {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    const content = Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex')
    return library('npm', name, version, license, { alg: 'SHA-512', content })
  })
}

/** SHA-256 by `name version`, as Cargo.lock has them. */
function checksums() {
  const packages = readFileSync('Cargo.lock', 'utf8').split('[[package]]').slice(1)
  const field = (text, name) => new RegExp(`^${name} = "(.*)"$`, 'm').exec(text)?.[1]
  return new Map(
    packages.map(text => [`${field(text, 'name')} ${field(text, 'version')}`, field(text, 'checksum')]),
  )
}

/** What is linked into the addon, and the macros that made it; build scripts and tests are not. */
function crates(target) {
  const format = ['--prefix', 'none', '--format', '{p}|{l}']
  const args = ['tree', '--locked', '--edges', 'normal', ...format, ...(target ? ['--target', target] : [])]
  const tree = execFileSync('cargo', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  const hashes = checksums()
  const found = new Map()
  for (const line of tree.split('\n')) {
    const [, name, version, license] = /^(\S+) v(\S+)[^|]*\|(.*?)(?: \(\*\))?$/.exec(line) ?? []
    if (name === undefined || name === 'selvedge') continue
    const content = hashes.get(`${name} ${version}`)
    // Older manifests have a slash for OR.
    const expression = license.replaceAll('/', ' OR ')
    const crate = library('cargo', name, version, expression, content && { alg: 'SHA-256', content })
    found.set(crate['bom-ref'], crate)
  }
  return [...found.values()]
}

/** `x86_64-unknown-linux-gnu` is `linux-x64-gnu`. */
function folderOf(target) {
  const [architecture, , system, abi] = target.split('-')
  const names = { x86_64: 'x64', aarch64: 'arm64', windows: 'win32' }
  return [names[system] ?? system, names[architecture], abi].filter(Boolean).join('-')
}

const { name, version, description, license, napi } = read('package.json')

function bill(target) {
  const root = { ...library('npm', name, version, license), description }
  const components = [...modules(), ...crates(target)]
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: root },
    components,
    dependencies: [{ ref: root['bom-ref'], dependsOn: components.map(component => component['bom-ref']) }],
  }
  return `${JSON.stringify(bom, null, 2)}\n`
}

if (process.argv.includes('--packages')) {
  for (const target of napi.targets) writeFileSync(`npm/${folderOf(target)}/sbom.cdx.json`, bill(target))
} else process.stdout.write(bill(option('--target')))
