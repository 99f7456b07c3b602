// Runs the package in each JavaScript runtime, as a newcomer would: installs the tarballs that `npm pack` made, then the
// runtimes from npm, and has each do the same work. `--tarballs FOLDER`, `--only NAME,NAME`; exits with 1 if one fails.
// The rows that it prints are those of docs/reference/runtimes.md.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** By name: the package of npm, its version, and the program in it; `node` is the one that runs this. */
export const RUNTIMES = {
  node: null,
  'node 20': { package: 'node', version: '20.20.2', program: 'node' },
  'node 22': { package: 'node', version: '22.23.3', program: 'node' },
  'node 24': { package: 'node', version: '24.21.0', program: 'node' },
  'node 26': { package: 'node', version: '26.10.0', program: 'node' },
  bun: { package: 'bun', version: '1.4.5', program: 'bun' },
  deno: { package: 'deno', version: '2.9.6', program: 'deno', args: ['run', '--allow-all'] },
}

const WORK = `
import { once } from 'node:events'
import { connect, init } from 'selvedge'

const broker = init({ port: 0 })
await once(broker, 'ready')
const address = \`http://127.0.0.1:\${broker.address().port}\`
const [server, client] = [0, 1].map(() => connect({ address, noCache: true }))
server.socket.listen('echo').on('connection', socket => {
  socket.on('data', (data, headers) => socket.write(data, { headers }))
})
const socket = client.socket.connect('echo')
let count = 0
for (let n = 0; n < 2000; n += 1) {
  socket.write({ n }, { n })
  const [data, headers] = await once(socket, 'data')
  if (data.n === n && headers.n === n) count += 1
}
const large = new Uint8Array(20 << 20).fill(7)
socket.write(large)
const [back] = await once(socket, 'data')
if (back.length !== large.length || back.some(byte => byte !== 7)) throw Error('damaged')
const answers = await server.subscribe('ask')
const asked = client.request('ask', 1)
for await (const message of answers) {
  message.respondSync(message.data + 1)
  break
}
if ((await asked).data !== 2) throw Error('wrong answer')
await socket.end()
for (const each of [client, server, broker]) await each.close()
console.log(count)
`
const TIMEOUT = 120_000

const option = name => {
  const at = process.argv.indexOf(name)
  return at < 0 ? undefined : process.argv[at + 1]
}

function install(folder, packages, scripts) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  const flags = ['--no-audit', '--no-fund', '--silent', ...(scripts ? [] : ['--ignore-scripts'])]
  const { status, stderr } = spawnSync('npm', ['install', ...flags, ...packages], {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw Error(`npm install ${packages.join(' ')}: ${stderr}`)
}

/** Returns the tarballs of the package and of this platform. */
function tarballs(folder) {
  const { platform, arch, report } = process
  const libc = report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
  const abi = { linux: `-${libc}`, win32: '-msvc' }[platform] ?? ''
  const names = readdirSync(folder).filter(name =>
    [/^selvedge-\d.*\.tgz$/, new RegExp(`^selvedge-${platform}-${arch}${abi}-\\d.*\\.tgz$`)].some(one =>
      one.test(name),
    ),
  )
  if (names.length !== 2)
    throw Error(`two tarballs are needed, in ${folder} there are: ${names.join(', ') || 'none'}`)
  return names.map(name => resolve(folder, name))
}

function tryOne(name, folder) {
  const runtime = RUNTIMES[name]
  let program = process.execPath
  if (runtime !== null) {
    const home = join(folder, name.replace(' ', '-'))
    // These programs are put into place by scripts of theirs.
    install(home, [`${runtime.package}@${runtime.version}`], true)
    program = join(home, 'node_modules/.bin', runtime.program)
  }
  const { status, signal, stdout, stderr } = spawnSync(program, [...(runtime?.args ?? []), 'work.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: TIMEOUT,
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  if (status === 0 && stdout.trim() === '2000') return 'works, and exits by itself'
  return `FAILED (${signal ?? status}): ${(stdout + stderr).trim().split('\n').at(-1)}`
}

const chosen = option('--only')?.split(',') ?? Object.keys(RUNTIMES)
const folder = mkdtempSync(join(tmpdir(), 'selvedge-runtimes-'))
try {
  install(folder, tarballs(option('--tarballs') ?? '.'), false)
  writeFileSync(join(folder, 'work.mjs'), WORK)
  console.log('| runtime | version | |\n| --- | --- | --- |')
  for (const name of chosen) {
    const outcome = tryOne(name, folder)
    const version = RUNTIMES[name]?.version ?? process.versions.node
    console.log(`| ${name} | ${version} | ${outcome} |`)
    if (outcome.startsWith('FAILED')) process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
