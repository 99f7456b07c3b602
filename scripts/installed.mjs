// Do the packages work where there is nothing but them? Installs the tarballs of the package and of this platform's binary
// into an empty folder, without Rust on the PATH, and runs what a newcomer would. Then as a registry has them: without
// optional packages, and from lockfiles of another platform.
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { serveRegistry } from './util/registry.mjs'
import { run } from './util/run.mjs'

const ECHO = `
import { once } from 'node:events'
import { connect, init } from 'selvedge'
import { memoryFabric } from 'selvedge/testing'

if (typeof memoryFabric !== 'function') throw Error('selvedge/testing is not whole')
const broker = init({ port: 0, monitor: true })
await once(broker, 'ready')
const address = \`http://127.0.0.1:\${broker.address().port}\`
const page = await (await fetch(address + '/monitor')).text()
if (!page.includes('selvedge monitor')) throw Error('the monitor has no page')
const [server, client] = [0, 1].map(() => connect({ address, noCache: true }))
server.socket.listen('echo').on('connection', socket => socket.on('data', data => socket.write(data)))
const socket = client.socket.connect('echo')
socket.write('it works')
console.log((await once(socket, 'data'))[0])
await socket.end()
for (const each of [client, server, broker]) await each.close()
`

/** `tarball` is the package as npm would publish it. */
export async function isWorkingInstalled(tarball) {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-installed-'))
  try {
    const platform = await packPlatform(folder)
    if (platform === undefined) return complain('there is no binary of this platform: npm run build:native')
    const place = join(folder, 'empty')
    mkdirSync(place)
    copyFileSync(tarball, join(place, 'selvedge.tgz'))
    writeFileSync(join(place, 'package.json'), '{ "private": true }\n')
    writeFileSync(join(place, 'echo.mjs'), ECHO)
    // Node.js and npm, and nothing that could compile.
    const path = [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter)
    const options = { cwd: place, env: { ...process.env, PATH: path }, quiet: true }
    const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts']
    const steps = [
      // It says nothing where it is started by a silent npm.
      [['npm', ['install', ...flags, './selvedge.tgz', platform]], /^/],
      [['npx', ['--no-install', 'selvedge', '--version']], /^\d+\.\d+\.\d+\s*$/],
      [[process.execPath, ['echo.mjs']], /^it works\s*$/],
    ]
    for (const [[command, args], expected] of steps) {
      const { code, text } = await run(command, args, options)
      if (code !== 0 || !expected.test(text)) return complain(`${command} ${args.join(' ')}:\n${text}`)
    }
    console.log('installed into an empty folder it works: command, import, socket, monitor')
    return await isClearWithoutBinary(tarball, platform, folder, options)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What the package says where there is no binary: the platform, and what to do. */
const MISSING = /selvedge cannot load its native binary on \S+-\S+.*Fix: .*without --omit=optional/s
/** What npm says of a lockfile that lacks packages which are wanted here. */
const NOT_IN_SYNC =
  /npm ci.*can only install packages when your package\.json and package-lock\.json.*in sync/s
const [STRANGER, STRANGE_OS] =
  process.platform === 'darwin' ? ['selvedge-win32-x64-msvc', 'win32'] : ['selvedge-darwin-arm64', 'darwin']

/** Returns whether whoever has installed no binary is told so, and what helps; and whether that does help. */
async function isClearWithoutBinary(tarball, platform, folder, options) {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const own = JSON.parse(
    readFileSync(join(folder, 'empty', 'node_modules', nameOf(platform), 'package.json'), 'utf8'),
  )
  const stranger = { name: STRANGER, version, os: [STRANGE_OS] }
  const optionalDependencies = { [own.name]: version, [STRANGER]: version }
  const registry = await serveRegistry(await upstreamRegistry(options), [
    // As `napi prepublish` writes it.
    { tarball, changes: { optionalDependencies } },
    { tarball: platform, changes: {} },
    { manifest: stranger },
  ])
  const app = join(folder, 'app')
  const flags = [
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--registry',
    registry.url,
  ]
  const inApp = { ...options, cwd: app, env: { ...options.env, npm_config_cache: join(folder, 'cache') } }
  // Whoever runs this with `npm --silent` would have these say nothing, too.
  const npm = (...args) => run('npm', [...args, ...flags, '--loglevel=error'], inApp)
  const begin = lock => {
    rmSync(app, { recursive: true, force: true })
    mkdirSync(app)
    writeFileSync(
      join(app, 'package.json'),
      JSON.stringify({ private: true, dependencies: { selvedge: version } }),
    )
    writeFileSync(join(app, 'echo.mjs'), ECHO)
    if (lock !== undefined) writeFileSync(join(app, 'package-lock.json'), JSON.stringify(lock))
  }
  const works = async () => {
    const { code, text } = await run(process.execPath, ['echo.mjs'], inApp)
    return code === 0 && /^it works\s*$/.test(text)
  }
  const isTold = async () => {
    const { code, text } = await run(process.execPath, ['echo.mjs'], inApp)
    return code !== 0 && MISSING.test(text)
  }
  try {
    begin()
    if ((await npm('install', '--omit=optional')).code !== 0) return complain('--omit=optional: npm failed')
    if (!(await isTold())) return complain('without its binary it does not say what to do')

    begin()
    const { code, text } = await npm('install')
    if (code !== 0 || !(await works())) return complain(`from a registry:\n${text}`)
    const lock = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8'))
    // Another platform writes the same, if it asks the registry of all packages.
    if (lock.packages[`node_modules/${STRANGER}`] === undefined)
      return complain('a lockfile has one platform only')
    begin(lock)
    if ((await npm('ci')).code !== 0 || !(await works())) return complain('npm ci from a whole lockfile')

    // Some versions of npm leave out what is not theirs (npm/cli#4828).
    const { [`node_modules/${own.name}`]: _ours, ...packages } = lock.packages
    const theirs = { ...lock, packages }
    begin(theirs)
    const ci = await npm('ci')
    const isClear = ci.code === 0 ? (await works()) || (await isTold()) : NOT_IN_SYNC.test(ci.text)
    if (!isClear) return complain(`npm ci from a lockfile of another platform:\n${ci.text}`)
    begin()
    if ((await npm('install')).code !== 0 || !(await works()))
      return complain('without the lockfile it does not work')
    console.log(
      `without a binary it says what to do; npm ci from a lockfile of ${STRANGE_OS} ${ci.code === 0 ? 'is told' : 'is refused by npm'}`,
    )
    return true
  } finally {
    await registry.close()
  }
}

async function upstreamRegistry(options) {
  const { text } = await run('npm', ['config', 'get', 'registry'], options)
  return text.trim()
}

/** Returns the name of the package that a file of `npm pack` has. */
function nameOf(file) {
  return /([^/\\]+)-\d+\.\d+\.\d+[^/\\]*\.tgz$/.exec(file)[1]
}

/** Returns the tarball of this platform's binary. */
async function packPlatform(folder) {
  const binary = readdirSync('.').find(name => /^selvedge\..+\.node$/.test(name))
  const name = binary?.split('.')[1]
  if (name === undefined) return undefined
  const source = join(folder, name)
  cpSync(join('npm', name), source, { recursive: true })
  copyFileSync(binary, join(source, binary))
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const { code, text } = await run('npm', ['pack', '--silent', '--pack-destination', folder, source], {
    quiet: true,
  })
  if (code !== 0) throw Error(text)
  return join(folder, `selvedge-${name}-${version}.tgz`)
}

function complain(what) {
  console.log(`FAILED ${what}`)
  return false
}
