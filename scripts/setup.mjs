// Makes a fresh clone ready: checks the tools, installs packages, builds the addon and dist/.
// Without dependencies, since it runs before there are any. `--release` builds as a release does.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const native = process.argv.includes('--release') ? 'build:release' : 'build:native'

const missing = [node(), tool('npm', 'it comes with Node.js'), rust('cargo'), rust('rustc')].filter(Boolean)
if (missing.length > 0) {
  for (const sentence of missing) console.error(`setup: ${sentence}`)
  process.exit(1)
}
if (!existsSync('node_modules/.package-lock.json') || older('node_modules/.package-lock.json')) {
  // Nothing that we use needs an install script of its own.
  step('installing packages', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'])
}
// cargo and tsc know themselves what is out of date.
step('building the addon', ['run', '--silent', native])
step('building dist/', ['run', '--silent', 'build:ts'])

function step(what, args) {
  const start = Date.now()
  process.stderr.write(`setup: ${what} …\n`)
  const { status } = npm(args, 'inherit')
  if (status !== 0) {
    console.error(`setup: ${what} failed (npm ${args.join(' ')}).`)
    process.exit(1)
  }
  process.stderr.write(`setup: ${what}: ${((Date.now() - start) / 1000).toFixed(1)} s\n`)
}

function npm(args, output) {
  // Output goes to stderr, so that stdout is only what the command proper prints.
  const stdio = output === 'inherit' ? ['ignore', 2, 2] : 'pipe'
  return spawnSync('npm', args, { stdio, encoding: 'utf8', shell: process.platform === 'win32' })
}

function older(marker) {
  return statSync(marker).mtimeMs < statSync('package-lock.json').mtimeMs
}

function node() {
  const wanted = Number(/\d+/.exec(JSON.parse(readFileSync('package.json', 'utf8')).engines.node))
  if (Number(process.versions.node.split('.')[0]) >= wanted) return
  return `Node.js ${wanted} or newer is needed; this is ${process.version}.`
}

function tool(name, hint) {
  const { status } = name === 'npm' ? npm(['--version']) : spawnSync(name, ['--version'])
  if (status !== 0) return `${name} is missing (${hint}).`
}

function rust(name) {
  const [, wanted] = /^rust-version = "([\d.]+)"/m.exec(readFileSync('Cargo.toml', 'utf8'))
  const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' })
  if (status !== 0)
    return `${name} is missing (install stable Rust ${wanted} or newer, with rustup for instance).`
  const [, found] = / ([\d.]+)/.exec(stdout)
  if (compare(found, wanted) < 0) return `${name} ${wanted} or newer is needed; this is ${found}.`
}

function compare(a, b) {
  const [x, y] = [a, b].map(version => version.split('.').map(Number))
  return x[0] - y[0] || x[1] - y[1]
}
