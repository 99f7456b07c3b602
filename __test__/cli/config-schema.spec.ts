// schema/: what editors know of the files of `selvedge broker` is what the command reads.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Ajv, { type AnySchema } from 'ajv'
import { parse } from 'jsonc-parser'
import type { Shape } from '../../lib/values/option-checks'

const ROOT = join(__dirname, '../..')
const { SERVER_SHAPE } = require('../../dist/broker/options.js') as { SERVER_SHAPE: Shape }
const { OPTIONS, SECTIONS } = require('../../dist/cli/config-file.js') as {
  OPTIONS: string[]
  SECTIONS: Record<string, unknown>
}
/** What a file cannot have: functions, and a server of the program's own. */
const OF_PROGRAMS = ['getUser', 'isAllowed', 'httpServer']

const schemaOf = (name: string): AnySchema =>
  JSON.parse(readFileSync(join(ROOT, 'schema', `${name}.schema.json`), 'utf8')) as AnySchema
const validates = (name: string, value: unknown): boolean =>
  new Ajv({ allowUnionTypes: true }).compile(schemaOf(name))(value) as boolean

test('the file has every option of init that it can', () => {
  const known = [...OPTIONS, ...Object.keys(SECTIONS).filter(name => name !== 'drain'), ...OF_PROGRAMS]
  expect(known.sort()).toEqual(Object.keys(SERVER_SHAPE).sort())
})

test('the schemas are those that npm run schema writes', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(ROOT, 'scripts/schema.mjs'),
    '--print',
  ])
  for (const [file, schema] of Object.entries(JSON.parse(stdout) as Record<string, unknown>)) {
    expect(schema).toEqual(JSON.parse(readFileSync(join(ROOT, 'schema', file), 'utf8')))
  }
})

test('they accept the examples of the documentation', () => {
  const security = readFileSync(join(ROOT, 'docs/guide/security.md'), 'utf8')
  const command = readFileSync(join(ROOT, 'docs/reference/command.md'), 'utf8')
  const blocks = (text: string): unknown[] =>
    [...text.matchAll(/```jsonc?\n([\s\S]*?)```/g)].map(([, block]) =>
      parse(block!, [], { allowTrailingComma: true }),
    )
  const users = blocks(security).filter(value => Object.hasOwn(value as object, 'users'))
  const configs = blocks(command)
  expect([users.length, configs.length]).toEqual([1, 1])
  const filled = JSON.parse(JSON.stringify(users[0])) as unknown
  expect(validates('users', filled)).toBe(true)
  expect(validates('broker', configs[0])).toBe(true)
})

test.each([
  ['broker', { prot: 1 }],
  ['broker', { port: '1' }],
  ['broker', { ssl: { cert: 'PEM' } }],
  ['broker', { upstream: 7 }],
  ['users', { users: { ann: { pub: 'a' } } }],
  ['users', { users: { ann: { password: 'plain' } } }],
  ['users', { roles: { staff: { password: 'scrypt$' } } }],
])('%s refuses %j', (name, value) => expect(validates(name, value)).toBe(false))
