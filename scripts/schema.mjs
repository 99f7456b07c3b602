// `npm run schema`: writes schema/*.schema.json, by which editors know the files of `selvedge broker`. Keys come from
// what reads the files (lib/cli/config-file.ts, lib/users/table.ts), texts and types from index.d.ts. A test compares
// them with what `--print` prints.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const require = createRequire(import.meta.url)

/** The interface that promises the options of each object. */
const CONTRACTS = {
  '': 'ServerOptions',
  ssl: 'TlsServerOptions',
  drain: 'DrainOptions',
  metrics: 'MetricsOptions',
  monitor: 'MonitorOptions',
  upstream: 'UpstreamOptions',
}
/** What may stand in place of an object. */
const SHORT_FORMS = {
  metrics: [{ type: 'boolean' }],
  monitor: [{ type: 'boolean' }],
  upstream: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
}
const DIALECT = 'http://json-schema.org/draft-07/schema#'

/** Both schemas, by their file names. */
function schemas() {
  return { 'broker.schema.json': brokerSchema(), 'users.schema.json': usersSchema() }
}

function brokerSchema() {
  const { OPTIONS, SECTIONS } = require('../dist/cli/config-file.js')
  const contract = readFileSync(join(root, 'index.d.ts'), 'utf8')
  const top = membersOf(contract, CONTRACTS[''])
  const sections = Object.entries(SECTIONS).map(([name, { options, files = {} }]) => {
    const members = membersOf(contract, CONTRACTS[name])
    const fileNames = Object.entries(files).map(([key, option]) => [key, pathTo(members.get(option))])
    const own = object([...options.map(option => [option, members.get(option)]), ...fileNames])
    const { description } = top.get(name) ?? { description: 'How it ends: SIGTERM and SIGINT begin a drain.' }
    const forms = SHORT_FORMS[name]
    return [name, forms === undefined ? { description, ...own } : { description, anyOf: [...forms, own] }]
  })
  const usersFile = { type: 'string', description: 'Path of the users file, relative to this one.' }
  const entries = [...OPTIONS.map(option => [option, top.get(option)]), ...sections, ['usersFile', usersFile]]
  return { $schema: DIALECT, title: 'Config file of selvedge broker', ...object(entries, true) }
}

function object(entries, isTop = false) {
  for (const [name, value] of entries) {
    if (value === undefined) throw Error(`no contract for '${name}'`)
    if (!['type', 'enum', 'anyOf'].some(key => key in value))
      throw Error(`no schema for the type of '${name}'`)
  }
  const properties = { ...(isTop ? { $schema: { type: 'string' } } : {}), ...Object.fromEntries(entries) }
  return { type: 'object', properties, additionalProperties: false }
}

function pathTo({ description = '' }) {
  return { type: 'string', description: `Path of a file, relative to this one. ${description}`.trim() }
}

/** The members of an interface: description, type and default of each. */
function membersOf(contract, name) {
  const [, body] = contract.match(new RegExp(`^export interface ${name} \\{\n([\\s\\S]*?)^\\}`, 'm'))
  const members = body.matchAll(/(?:^ {2}\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?^ {2}(\w+)\??: (.*)$/gm)
  return new Map(
    [...members].map(([, doc = '', member, type]) => {
      const [text, ...tags] = doc.replace(/^ *\* ?/gm, ' ').split(/(?=@\w+ )/)
      const description = text.replace(/\s+/g, ' ').trim()
      const fallback = defaultOf(tags.find(tag => tag.startsWith('@default ')))
      return [
        member,
        {
          ...typeOf(type),
          ...(description === '' ? {} : { description }),
          ...(fallback === undefined ? {} : { default: fallback }),
        },
      ]
    }),
  )
}

/** `@default`, if it is a value and not a phrase. */
function defaultOf(tag = '') {
  const text = tag.replace('@default ', '').trim()
  const mebibytes = /^(\d+) MiB$/.exec(text)
  if (mebibytes) return Number(mebibytes[1]) * 1024 * 1024
  if (/^[\d_]+$/.test(text)) return Number(text.replaceAll('_', ''))
  if (/^(true|false)$/.test(text)) return text === 'true'
  return /^(["']).*\1$/.test(text) ? text.slice(1, -1) : undefined
}

/** The types that options of the file have. One that is not here has no schema, which `object` refuses. */
function typeOf(declared) {
  // Programs may pass undefined; a file cannot.
  const text = declared.replace(/ \| undefined$/, '')
  const literals = [...text.matchAll(/'([^']*)'/g)].map(([, literal]) => literal)
  if (literals.length > 0) return { enum: literals }
  switch (text) {
    case 'number | null':
      return { type: ['number', 'null'] }
    case 'string | false':
      return { anyOf: [{ type: 'string' }, { const: false }] }
    case 'string | readonly string[]':
      return { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] }
    case 'readonly string[]':
    case 'string[]':
      return { type: 'array', items: { type: 'string' } }
    case 'number':
    case 'boolean':
    case 'string':
      return { type: text }
    default:
      return {}
  }
}

function usersSchema() {
  const { RULE_KEYS, USER_KEYS } = require('../dist/users/table.js')
  const patterns = { type: 'array', items: { type: 'string' } }
  const known = {
    pub: { ...patterns, description: 'Patterns to publish to, and to send requests to.' },
    sub: {
      ...patterns,
      description: 'Patterns to subscribe to; they include the ends of sockets, not inboxes.',
    },
    reply: { ...patterns, description: 'Subjects of services that they offer.' },
    listen: { ...patterns, description: 'Subjects on which they accept sockets.' },
    connect: { ...patterns, description: 'Subjects to which they connect sockets.' },
    deny: {
      ...object([
        ['pub', patterns],
        ['sub', patterns],
      ]),
      description: 'Patterns that are denied whatever else allows them.',
    },
    inboxes: { type: 'boolean', description: 'Whether they may read the answers to others.' },
    password: { type: 'string', pattern: '^scrypt\\$', description: 'A hash, as selvedge passwd prints it.' },
    token: { type: 'string', pattern: '^sha256\\$', description: 'A hash, as selvedge token prints it.' },
    certificate: {
      type: 'object',
      properties: { dns: { type: 'string' }, fingerprint: { type: 'string' } },
      additionalProperties: false,
      minProperties: 1,
      maxProperties: 1,
      description: 'The whole DNS name of a verified certificate, or its SHA-256 fingerprint.',
    },
    anonymous: { type: 'boolean', description: 'Whoever does not sign in is this user.' },
    roles: { ...patterns, description: 'Roles of this file whose rules they have as well.' },
  }
  const rules = keys => object(keys.map(key => [key, known[key]]))
  return {
    $schema: DIALECT,
    title: 'Users file of selvedge broker',
    ...object(
      [
        ['users', { type: 'object', additionalProperties: rules(USER_KEYS) }],
        ['roles', { type: 'object', additionalProperties: rules(RULE_KEYS) }],
      ],
      true,
    ),
  }
}

if (process.argv.includes('--print')) console.log(JSON.stringify(schemas()))
else
  for (const [name, schema] of Object.entries(schemas()))
    writeFileSync(join(root, 'schema', name), `${JSON.stringify(schema, null, 2)}\n`)
