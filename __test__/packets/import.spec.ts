// What importing selvedge/packets loads, and where it works: without the addon, without modules of Node, without generated code.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { compileSchema } from 'selvedge/packets'
import { hex } from './codecs'

function node(code: string, flags: readonly string[] = []) {
  const options = { cwd: join(__dirname, '../..'), encoding: 'utf8', timeout: 20_000 } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, '--eval', code], options)
  return { status, stdout, stderr }
}

test('it loads no native code, nothing else of the package that does, no dependency, and one file', () => {
  const ended = node(`
    const before = new Set(process.moduleLoadList)
    require('selvedge/packets')
    const files = Object.keys(require.cache).map(file => file.replaceAll('\\\\', '/'))
    const kinds = files.map(file => /node_modules\\/(@?[^/]+\\/[^/]+)/.exec(file)?.[1] ?? /dist\\/(\\w+)/.exec(file)?.[1] ?? file)
    console.log(JSON.stringify([kinds, process.moduleLoadList.filter(name => !before.has(name)).filter(name => /^NativeModule (?!internal)/.test(name))]))
  `)
  expect(ended).toEqual({
    status: 0,
    stdout: `${JSON.stringify([['packets'], []])}\n`,
    stderr: '',
  })
})

test('without code generation it does the same', () => {
  const schema = { id: 'uint32', 'l?': [{ a: ['string', 'varint'], b: 'bool' }], p: 'packed' } as const
  const value = { id: 7, l: [{ a: ['x', -5, 6], b: true }], p: { deep: [1.5] } } as const
  const ended = node(
    `
    const { compileSchema } = require('selvedge/packets')
    const codec = compileSchema(${JSON.stringify(schema)})
    const bytes = codec.encode(${JSON.stringify(value)})
    console.log(Buffer.from(bytes).toString('hex'), JSON.stringify(codec.decode(bytes)))
    try { codec.encode({ id: -1 }) } catch ({ code, path }) { console.log(code, path) }
  `,
    ['--disallow-code-generation-from-strings'],
  )
  const bytes = hex(compileSchema(schema).encode(value as never))
  const decoded = JSON.stringify(value)
  expect(ended).toEqual({ status: 0, stdout: `${bytes} ${decoded}\nERR_PACKET_ENCODE id\n`, stderr: '' })
})

test('without Buffer it does the same, with Uint8Array', () => {
  const ended = node(`
    delete globalThis.Buffer
    const { compileSchema } = require('selvedge/packets')
    const codec = compileSchema({ s: 'string', b: 'buffer', p: 'packed' })
    const value = { s: '\\ufeff' + 'é'.repeat(300), b: Uint8Array.of(1, 2), p: ['x'.repeat(300), '🦀'] }
    const decoded = codec.decode(codec.encode(value))
    console.log(JSON.stringify(decoded) === JSON.stringify(value), decoded.b.constructor.name)
    try { codec.decode(Uint8Array.of(2, 0xc3, 0x28)) } catch ({ code }) { console.log(code) }
  `)
  expect(ended).toEqual({ status: 0, stdout: 'true Uint8Array\nERR_PACKET_MALFORMED\n', stderr: '' })
})
