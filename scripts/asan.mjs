// The addon under AddressSanitizer, inside Node: `npm run asan`. Builds it with the sanitizer (stable Rust, RUSTC_BOOTSTRAP=1) and
// starts Node with gcc's libasan in front: workers that are terminated in mid-traffic, clients and sockets that come and go, and the
// suites of jest that cross the boundary most. `--long` has more of each. Linux with gcc only.
// Leaks are not looked for: Node never frees all that it has (`npm run soak` looks for ours).
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bin, run } from './util/run.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const isLong = process.argv.includes('--long')
const library = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim()
const host = /host: (.*)/.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout)?.[1]
// The runtime comes from gcc's library, so none is linked in.
const flags = ['-Zsanitizer=address', '-Zexternal-clangrt']
const bootstrap = { RUSTC_BOOTSTRAP: '1', RUSTFLAGS: flags.join(' ') }

const why = lacking()
if (why !== undefined) {
  console.log(`skipped: AddressSanitizer needs ${why}`)
  process.exit(0)
}

const target = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'asan')
const addon = join(target, 'native.node')
const start = Date.now()
const built = await run(
  'cargo',
  ['build', '--lib', '--target', host, '--profile', 'asan', '--target-dir', target],
  { env: bootstrap },
)
if (built.code !== 0) process.exit(1)
console.log(`asan: built in ${((Date.now() - start) / 1000).toFixed(0)} s`)
mkdirSync(target, { recursive: true })
copyFileSync(join(target, host, 'asan/libselvedge.so'), addon)

// The same lib/ and tests, another addon. The variable is for programs of ours only: jest's resolver would load it, too.
const sanitized = {
  LD_PRELOAD: library,
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=99:detect_stack_use_after_return=0',
  CONAT_SERVER: '',
}
const programs = '__test__/lifetime/programs'
const isOurs = `require('./dist'); process.exit(require('fs').readFileSync('/proc/self/maps', 'utf8').includes('${addon}') ? 0 : 1)`
const suites = [
  ...[
    'socket/socket',
    'socket/back-pressure',
    'socket/undelivered',
    'socket/windows',
    'socket/slow-consumer',
  ],
  ...['broker/http-server', 'broker/tls', 'broker/unix', 'messaging/request-many', 'messaging/pubsub'],
  ...['values/values', 'values/decode-bounds', 'values/misuse', 'client/drain'],
  ...(isLong ? ['socket/big', 'socket/servers', 'socket/states', 'broker/authorizer'] : []),
  ...(isLong ? ['client/reconnect', 'messaging/service', 'values/errors'] : []),
]
const settings = join(target, 'jest.config.cjs')
const jest = { rootDir: root, testTimeout: 120_000, moduleNameMapper: { 'native\\.js$': addon } }
writeFileSync(
  settings,
  `module.exports = { ...require(${JSON.stringify(join(root, 'jest.config.cjs'))}), ...${JSON.stringify(jest)} }\n`,
)

let failed = 0
await look('it is loaded', program('-e', isOurs))
await look('workers share', program(`${programs}/workers.cjs`, 'share', '4'))
await look(
  'workers are terminated',
  program(`${programs}/workers.cjs`, 'terminate', isLong ? '200' : '50', '5'),
)
await look(
  'also over a port',
  program(`${programs}/workers.cjs`, 'terminate', isLong ? '200' : '50', '5', 'port'),
)
await look('sockets come and go', program(`${programs}/leak.cjs`, 'sockets', '60', '-'))
await look('clients come and go', program(`${programs}/leak.cjs`, 'clients', '40', 'port'))
await look(
  `jest: ${suites.join(', ')}`,
  bin('jest', '--config', settings, '--runInBand', `/__test__/(${suites.join('|')})\\.spec\\.ts$`, {
    quiet: true,
    env: sanitized,
    lastWords: 'Ran all test suites',
  }),
)
process.exitCode = failed === 0 ? 0 : 1

function program(...args) {
  const env = { ...sanitized, NAPI_RS_NATIVE_LIBRARY_PATH: addon }
  return run(process.execPath, ['--expose-gc', '--no-warnings', ...args], { quiet: true, env })
}

async function look(what, ending) {
  const { code, text } = await ending
  const wrong = code !== 0 || /AddressSanitizer/.test(text)
  const count = /^Tests: .*$/m.exec(text)?.[0] ?? ''
  console.log(`${wrong ? 'FAILED' : 'ok    '} ${what} ${count}`)
  if (!wrong) return
  failed += 1
  console.log(text.slice(-8000))
}

/** What is missing here, if anything. */
function lacking() {
  if (process.platform !== 'linux') return 'Linux'
  if (!library || !existsSync(library)) return 'gcc with its libasan'
  const env = { ...process.env, ...bootstrap }
  const { stdout } = spawnSync('rustc', [...flags, '--print', 'cfg'], { encoding: 'utf8', env })
  if (!stdout?.includes('sanitize="address"')) return `a rustc that knows it on ${host}`
}
