// After tsc: makes one file, and in it one scope, of a sub-path whose many small modules would take twice as long to load as all
// that is in them. Its entry is replaced. Comments and white space are left out: V8 reads all of it at each start.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { minify } from 'terser'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COMMON = {
  absWorkingDir: ROOT,
  allowOverwrite: true,
  bundle: true,
  platform: 'neutral',
  legalComments: 'none',
  logLevel: 'warning',
}

/** For Node.js: other packages stay outside. Names stay: they are seen in stacks. */
const packets = {
  ...COMMON,
  entryPoints: ['lib/packets/index.ts'],
  outfile: 'dist/packets/index.js',
  packages: 'external',
  format: 'cjs',
  target: 'node20',
  minifyWhitespace: true,
  minifySyntax: true,
}

/** What `values/` takes from Node.js, its codec, and what is too large, a page takes from files of its own. */
const forPages = {
  name: 'for pages',
  setup({ onResolve }) {
    for (const name of ['platform', 'refused-place'])
      onResolve({ filter: new RegExp(`/${name}$`) }, () => ({ path: join(ROOT, `lib/browser/${name}.ts`) }))
    onResolve({ filter: /^@msgpack\/msgpack$|\/msgpack-scan$|\/byte-order-mark$/ }, () => ({
      path: join(ROOT, 'lib/browser/msgpack.ts'),
    }))
  },
}

/** Names that nobody sees: neither a page's nor ours. */
const INSIDE =
  /^(handle|poll|take|begin|fail)[A-Z]|^(arrived|wasAway|isDraining|waitingBytes|unackedBytes|failsRequests|hasOthers|ownAbsence|lostAt|isProbing|isCongested|isConfirmed|subscribeIn|isUnderWay|isVolatile|answering|sender|session|transmit|withdraw|attachStatus|isReady|isClosed|unacked|isAttached|arrivedBytes|handledBytes|hasRoom|settings|settle|isUp|isWaiting|hasLeft|wantsMissing|hangUp|peerTag|ownTag|hasGap|settles|randomTag|awayAfterAll|isCaughtUp|isIdle|notReady|noAnswer|hasNews|sayClosed|yieldTurn|emitData|wasAsked|hasListeners|isProven|checkDue|openSocket|unconsumed|varint|isFull|isConnected|sayFollows|views|loss|crowd|attach|detach|isWritable|dial|acked|lookUp|touch|upto|ranges|onListener|isAcked|isOnce|hasMissing|isCaughtUp|unsubscribe|isSubscribed|encodeSharedRef|tryToEncode|extensionCodec|defaultCodec|ignoreUndefined|setMaxPayload|details|writer|finish|randomId|toArray|windows|isUntold|isHandled|candidate|iterate|unhandledRequests|fields|machine|operation|json|items|item|deadline|forget|letters|begun|isMany|question|wake|pump|shut|waiting|isTaken|unread|isAwaited|flow|confirmed|checkConfirmed|requests|written|take|reader|stranded|entry|asked|begin|parts|reset|flush|remove|chunk|isEnded|peer|place|hand|rest|leave|counts|attempt|command|first)$/

/** For pages: everything in one file, as a module; and the same for Node.js. */
const browser = (format, outfile) => ({
  ...COMMON,
  entryPoints: ['lib/browser/index.ts'],
  outfile,
  format,
  mainFields: ['module', 'main'],
  conditions: ['import'],
  target: ['es2022', 'chrome105', 'firefox105', 'safari16.4'],
  minify: true,
  // Shorter, and the same.
  define: { 'Number.POSITIVE_INFINITY': 'Infinity' },
  mangleProps: INSIDE,
  plugins: [forPages],
})

await Promise.all(
  [packets, browser('esm', 'dist/browser/selvedge.mjs'), browser('cjs', 'dist/browser/index.js')].map(
    options => build(options),
  ),
)

// What a page loads is made shorter once more, by what takes longer over it.
for (const name of ['selvedge.mjs', 'index.js']) {
  const path = join(ROOT, 'dist/browser', name)
  const module = name.endsWith('.mjs')
  const { code } = await minify(readFileSync(path, 'utf8'), { module, ecma: 2020, compress: { passes: 3 } })
  writeFileSync(path, code)
}

// For a script tag, with the global `selvedge`: the module as a function, without what esbuild adds to make it a module of
// CommonJS, too.
const module = readFileSync(join(ROOT, 'dist/browser/selvedge.mjs'), 'utf8')
const [whole, exported] = /export\s*\{([^}]*)\};?\s*$/.exec(module)
const members = exported.split(',').map(each => {
  const [name, as = name] = each.trim().split(/\s+as\s+/)
  return `${as}:${name}`
})
writeFileSync(
  join(ROOT, 'dist/browser/selvedge.iife.js'),
  `"use strict";var selvedge=(()=>{${module.slice(0, -whole.length)}return{${members}}})();\n`,
)

// npm does this for who installs it; from a checkout it is to run, too.
chmodSync(join(ROOT, 'dist/cli/index.js'), 0o755)
