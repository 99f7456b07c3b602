// The addon under AddressSanitizer, inside Node: `npm run asan`. Builds it with the sanitizer (stable Rust, RUSTC_BOOTSTRAP=1), starts Node
// with gcc's libasan in front, and lets it talk: sockets, requests, workers that are terminated in mid-traffic. Linux with gcc only.
// Leaks are not looked for: Node never frees all that it has (`npm run soak` looks for ours).
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './util/run.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const library = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim()
const host = /host: (.*)/.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout)?.[1]
if (process.platform !== 'linux' || !library || !existsSync(library)) {
  console.log('asan: skipped: this needs Linux, and gcc with its libasan')
  process.exit(0)
}

// A checkout of its own shape beside the real one: the same dist/, another addon.
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
const stage = join(target, 'asan-package')
const start = Date.now()
const built = await run(
  'cargo',
  ['build', '--lib', '--target', host, '--profile', 'dev', '--target-dir', join(target, 'asan')],
  // The runtime comes from gcc's library, so none is linked in.
  { env: { RUSTC_BOOTSTRAP: '1', RUSTFLAGS: '-Zsanitizer=address -Zexternal-clangrt -Copt-level=1' } },
)
if (built.code !== 0) process.exit(1)
console.log(`asan: built in ${((Date.now() - start) / 1000).toFixed(0)} s`)
mkdirSync(join(stage, '__test__/lifetime'), { recursive: true })
copyFileSync(join(target, `asan/${host}/debug/libselvedge.so`), join(stage, 'native.node'))
for (const name of ['dist', 'index.mjs', 'package.json', 'node_modules', '__test__/lifetime/programs']) {
  if (!existsSync(join(stage, name))) symlinkSync(resolve(name), join(stage, name))
}

const { writeFileSync } = await import('node:fs')
writeFileSync(join(stage, 'native.js'), "module.exports = require('./native.node')\n")
const programs = [
  ['workers.cjs', 'share', '4'],
  ['workers.cjs', 'terminate', '50', '5'],
  ['leak.cjs', 'sockets', '60', '-'],
  ['leak.cjs', 'clients', '40', 'port'],
]
let failed = 0
for (const [program, ...args] of programs) {
  const { code, text } = await run(
    process.execPath,
    [
      '--preserve-symlinks',
      '--preserve-symlinks-main',
      '--expose-gc',
      '--no-warnings',
      join(stage, '__test__/lifetime/programs', program),
      ...args,
    ],
    {
      quiet: true,
      env: {
        LD_PRELOAD: library,
        ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=99:detect_stack_use_after_return=0',
        CONAT_SERVER: '',
        NODE_PATH: join(stage, 'node_modules'),
      },
    },
  )
  const wrong = code !== 0 || /AddressSanitizer/.test(text)
  console.log(`${wrong ? 'FAILED' : 'ok    '} ${program} ${args.join(' ')}`)
  if (wrong) {
    failed += 1
    console.log(text.slice(-4000))
  }
}
process.exitCode = failed === 0 ? 0 : 1
