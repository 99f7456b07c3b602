// The wall between the rooms of lib/: a file imports only from its own room and from those above it, nothing goes round
// in circles, and the addon, Node.js and MessagePack stay where they belong. tests/layering is the same for src/.
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join, posix } from 'node:path'
import { subpaths } from '../../scripts/util/subpaths.cjs'

/** Top down. A room that is not here fails the test. */
const FLOORS: readonly (readonly string[])[] = [
  ['values'],
  ['telemetry'],
  ['engine'],
  ['async'],
  ['messaging'],
  ['rooms'],
  ['socket'],
  ['compat'],
  ['client'],
  ['broker'],
  ['services'],
  ['config'],
  ['printing'],
  ['index'],
]
/** The lowest floor: one room for each sub-path of the package. They do not know each other. */
const SUBPATHS = subpaths.map(({ name }) => name).filter(name => name !== 'index')
/** Sub-paths that are made of others. */
const NEIGHBOURS: Readonly<Record<string, readonly string[]>> = { dgram: ['net'], tls: ['net'] }
/** The command: below everything, since it is a program like any other and uses the public names only. */
const COMMAND = 'cli'
/** Folders beside those of the sub-paths and of the command. */
const MAX_ROOMS = 12
/**
 * Rooms that browsers get: no module of Node.js and none of its globals, except in the one file that is replaced for them.
 * The one that takes its place has the same names.
 */
const PORTABLE = { rooms: ['values', 'packets', 'browser'], platform: 'values/platform.ts' }
const PLATFORM_OF_PAGES = 'browser/platform.ts'
const NODE_GLOBALS = ['Buffer', 'process', 'setImmediate', '__dirname', 'require']
const ADDON = 'engine/native.ts'
/** Packages, and the only file or room that may import each. */
const FENCED: Readonly<Record<string, string>> = {
  '@msgpack/msgpack': 'values/codec.ts',
  '@opentelemetry/api': 'telemetry/',
  commander: 'cli/',
  'jsonc-parser': 'config/',
}

/** Sources by path below lib/. */
type Sources = ReadonlyMap<string, string>

function roomOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, '')
}

/** Rooms that `room` may import from, or nothing for a room that is on no floor. */
function allowedFor(room: string): ReadonlySet<string> | undefined {
  const floors = [...FLOORS, SUBPATHS, [COMMAND]]
  const floor = floors.findIndex(rooms => rooms.includes(room))
  if (floor < 0) return undefined
  return new Set([...floors.slice(0, floor).flat(), room, ...(NEIGHBOURS[room] ?? [])])
}

/** The code without comments and texts, but with the names of modules. */
function stripped(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')
}

/** Names of modules, however they are imported: types as well. */
function imports(code: string): string[] {
  const forms = /(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*['"]([^'"]+)['"]/g
  return [...stripped(code).matchAll(forms)].map(([, name]) => name!)
}

/** The file below lib/ that a relative name stands for; nothing for what is outside, as the contracts are. */
function target(path: string, name: string, sources: Sources): string | undefined {
  const base = posix.normalize(posix.join(posix.dirname(path), name))
  if (base.startsWith('..')) return undefined
  const found = [`${base}.ts`, `${base}/index.ts`].find(file => sources.has(file))
  return found ?? `${base}.ts`
}

function faults(sources: Sources): string[] {
  const found: string[] = []
  for (const [path, code] of sources) {
    const room = roomOf(path)
    const allowed = allowedFor(room)
    if (allowed === undefined) {
      found.push(`${path}: unknown room '${room}'`)
      continue
    }
    for (const name of imports(code)) {
      if (name.startsWith('.')) {
        const other = target(path, name, sources)
        if (other !== undefined && !allowed.has(roomOf(other))) {
          found.push(`${path}: ${room} must not import from ${roomOf(other)}`)
        }
        if (room === COMMAND && other !== undefined && !isPublic(other)) {
          found.push(`${path}: ${room} uses public names only, not ${other}`)
        }
      }
      if (
        /(^|\/)native(\.js)?$|\.node$/.test(name) &&
        target(path, name, sources) !== ADDON &&
        path !== ADDON
      ) {
        found.push(`${path}: only ${ADDON} loads the addon`)
      }
      if (name in FENCED && !path.startsWith(FENCED[name]!)) {
        found.push(`${path}: ${name} belongs in ${FENCED[name]}`)
      }
      if (isPortable(path) && (name.startsWith('node:') || builtinModules.includes(name))) {
        found.push(`${path}: ${name} belongs in ${PORTABLE.platform}`)
      }
    }
    if (isPortable(path) && path !== PLATFORM_OF_PAGES) found.push(...globalsIn(path, code))
  }
  return [...found, ...circles(sources)]
}

function isPublic(path: string): boolean {
  return [COMMAND, 'config', 'index'].includes(roomOf(path)) || /^[^/]+\/index\.ts$/.test(path)
}

function isPortable(path: string): boolean {
  return PORTABLE.rooms.includes(roomOf(path)) && path !== PORTABLE.platform
}

/** Globals of Node.js that a file uses without importing them from the platform. */
function globalsIn(path: string, code: string): string[] {
  const text = stripped(code).replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
  const imported = /import (?:type )?\{([^}]*)\} from '[^']*platform'/.exec(stripped(code))?.[1] ?? ''
  return NODE_GLOBALS.filter(
    name => new RegExp(`(?<![.\\w])${name}\\b`).test(text) && !imported.includes(name),
  ).map(name => `${path}: ${name} comes from ${PORTABLE.platform}`)
}

/** Files that import each other, over any number of steps. */
function circles(sources: Sources): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push(`a circle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`)
      return
    }
    if (done.has(path)) return
    for (const name of imports(sources.get(path) ?? '')) {
      const other = name.startsWith('.') ? target(path, name, sources) : undefined
      if (other !== undefined) visit(other, [...trail, path])
    }
    done.add(path)
  }
  for (const path of sources.keys()) visit(path, [])
  return found
}

function sourcesOfLib(): Sources {
  const root = join(__dirname, '../../lib')
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts'))
  return new Map(paths.map(path => [path.replaceAll('\\', '/'), readFileSync(join(root, path), 'utf8')]))
}

test('every import of lib/ goes to a room above, and everything stays in its room', () => {
  expect(faults(sourcesOfLib())).toEqual([])
})

test(`lib/ has at most ${MAX_ROOMS} rooms, and every room of the list is there`, () => {
  const rooms = [...new Set([...sourcesOfLib().keys()].map(roomOf))]
  const folders = rooms.filter(room => !sourcesOfLib().has(`${room}.ts`))
  expect(folders.filter(room => !SUBPATHS.includes(room) && room !== COMMAND).length).toBeLessThanOrEqual(
    MAX_ROOMS,
  )
  expect(rooms.sort()).toEqual([...FLOORS.flat(), ...SUBPATHS, COMMAND].sort())
})

describe('the wall', () => {
  const sound: readonly [string, string][] = [
    ['values/errors.ts', 'export class FabricError extends Error {}'],
    ['values/platform.ts', "import { Buffer } from 'node:buffer'\nexport { Buffer }"],
    [
      'values/codec.ts',
      "import { decode } from '@msgpack/msgpack'\nimport { Buffer } from './platform'\nBuffer.alloc(1)",
    ],
    ['engine/native.ts', "require('../../native.js')\nexport const native = {}"],
    [
      'client/client.ts',
      "import type { Client } from '../../index'\nimport { native } from '../engine/native'",
    ],
    ['index.ts', "export { Client } from './client/client'"],
  ]
  const withFile = (path: string, code: string) => faults(new Map([...sound, [path, code]]))

  test('lets through what is in its place', () => {
    expect(faults(new Map(sound))).toEqual([])
  })

  test.each([
    ['down to a room below', "import { Client } from '../client/client'"],
    ['of a type alone', "import type { Client } from '../client/client'"],
    ['that is passed on', "export { Client } from '../client/client'"],
    ['over several lines', "import {\n  Client,\n} from '../client/client'"],
    ['by require', "import client = require('../client/client')"],
    ['when it is needed', "const client = await import('../client/client')"],
  ])('sees an import %s', (_, code) => {
    expect(withFile('socket/base.ts', code)).toEqual(['socket/base.ts: socket must not import from client'])
  })

  test('does not take a comment for an import', () => {
    expect(
      withFile('socket/base.ts', "// import { x } from '../client/client'\n/* from '../broker/x' */"),
    ).toEqual([])
  })

  test('knows no room that is not on its list', () => {
    expect(withFile('util/things.ts', '')).toEqual(["util/things.ts: unknown room 'util'"])
    expect(withFile('things.ts', '')).toEqual(["things.ts: unknown room 'things'"])
  })

  test('keeps the addon behind one file', () => {
    for (const code of ["require('../../native.js')", "require('../../selvedge.linux-x64-gnu.node')"]) {
      expect(withFile('client/other.ts', code)).toEqual([
        'client/other.ts: only engine/native.ts loads the addon',
      ])
    }
  })

  test('keeps MessagePack in the codec', () => {
    expect(withFile('values/other.ts', "import { encode } from '@msgpack/msgpack'")).toEqual([
      'values/other.ts: @msgpack/msgpack belongs in values/codec.ts',
    ])
  })

  test('keeps Node.js out of what browsers get: its modules and its globals', () => {
    expect(withFile('values/other.ts', "import { types } from 'node:util'")).toEqual([
      'values/other.ts: node:util belongs in values/platform.ts',
    ])
    expect(withFile('values/other.ts', "import fs from 'fs'")).toEqual([
      'values/other.ts: fs belongs in values/platform.ts',
    ])
    expect(withFile('values/other.ts', 'Buffer.from(process.argv)')).toEqual([
      'values/other.ts: Buffer comes from values/platform.ts',
      'values/other.ts: process comes from values/platform.ts',
    ])
  })

  test('sees circles, over any number of files', () => {
    const ring = [
      ['socket/a.ts', "import './b'"],
      ['socket/b.ts', "import './c'"],
      ['socket/c.ts', "import type { A } from './a'"],
    ] as const
    expect(faults(new Map([...sound, ...ring]))).toEqual([
      'a circle: socket/a.ts -> socket/b.ts -> socket/c.ts -> socket/a.ts',
    ])
  })
})
