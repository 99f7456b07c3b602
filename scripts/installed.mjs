// Do the packages work where there is nothing but them? Installs the tarballs of the package and of this platform's binary
// into an empty folder, without Rust on the PATH, and runs what a newcomer would.
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
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
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
