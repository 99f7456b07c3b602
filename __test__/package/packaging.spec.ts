// The package as programs get it: import and require, its log, copies of it, and a binary that is not there.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as selvedge from 'selvedge'
import { exportsEntry, subpaths } from '../../scripts/util/subpaths.cjs'

const ROOT = join(__dirname, '../..')
const { exports: exported } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  exports: Record<string, unknown>
}

function node(code: string, env: NodeJS.ProcessEnv = {}, type = 'module') {
  const args = [`--input-type=${type}`, '--eval', code]
  const clean = { ...process.env, SELVEDGE_LOG: '', CONAT_SERVER: '' }
  const options = { cwd: ROOT, env: { ...clean, ...env }, encoding: 'utf8', timeout: 20_000 } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, args, options)
  return { status, stdout, stderr }
}

/** The names of the values that a declaration file exports. */
function promised(text: string): string[] {
  const declared = [...text.matchAll(/^export declare (?:abstract )?(?:class|function|const|enum) (\w+)/gm)]
  const renamed = [...text.matchAll(/^export \{ \w+ as (\w+) \}/gm)]
  return [...new Set([...declared, ...renamed].map(([, name]) => name!))].sort()
}

describe.each(subpaths)('$specifier', module => {
  const names = promised(readFileSync(join(ROOT, module.contract), 'utf8'))

  test('is exported as all are, and its contract has something in it', () => {
    const key = module.name === 'index' ? '.' : `./${module.name}`
    expect(exported[key]).toEqual(exportsEntry(module))
    expect(names.length).toBeGreaterThan(0)
  })

  test('exports by name what its contract promises, and the same to import, which has a default as well, and to require', () => {
    const ended = node(`
      import * as imported from '${module.specifier}'
      import { createRequire } from 'node:module'
      const required = createRequire(import.meta.url)('${module.specifier}')
      const differing = Object.keys(required).filter(name => required[name] !== imported[name])
      console.log(JSON.stringify([Object.keys(imported).sort(), Object.keys(required).sort(), differing]))
    `)
    expect(ended).toEqual({
      status: 0,
      stdout: `${JSON.stringify([[...names, 'default'].sort(), names, []])}\n`,
      stderr: '',
    })
  })
})

describe('what is exported', () => {
  test('has the names of Conat beside its own', () => {
    expect(Object.keys(selvedge)).toContain('ConatError')
  })

  test('for tests makes clients of the same class', () => {
    const ended = node(`
      import { memoryFabric } from 'selvedge/testing'
      import { Client } from 'selvedge'
      const fabric = memoryFabric()
      console.log(fabric.client() instanceof Client)
      await fabric.close()
    `)
    expect(ended).toEqual({ status: 0, stdout: 'true\n', stderr: '' })
  })

  test('is one and the same by import and by require: state lives once', () => {
    const ended = node(`
      import * as imported from 'selvedge'
      import { createRequire } from 'node:module'
      const required = createRequire(import.meta.url)('selvedge')
      const same = Object.keys(required).every(name => required[name] === imported[name])
      const client = imported.connect()
      const error = await client.request('nobody.here').catch(error => error)
      console.log(same, client instanceof required.Client, error instanceof required.FabricError, error.code)
      console.log(required.connect() === client, imported.getClient() === required.getClient())
      imported.getClient().close()
      client.close()
      client.close()
    `)
    expect(ended).toEqual({ status: 0, stdout: 'true true true 503\ntrue true\n', stderr: '' })
  })
})

describe('the log', () => {
  const SECRETS = ['marker-payload', 'marker-header', 'marker-cookie', 'marker-answer']
  const program = `
    import { connect, init } from 'selvedge'
    const broker = init({ port: 0 })
    await broker.waitUntilReady()
    const address = 'http://127.0.0.1:' + broker.address().port
    const client = connect({ address, extraHeaders: { Cookie: 'key=marker-cookie' } })
    const server = client.socket.listen('log')
    server.on('connection', socket => {
      socket.on('data', data => socket.write(data))
      socket.on('request', message => message.respond('marker-answer'))
    })
    const socket = client.socket.connect('log')
    socket.write('marker-payload', { key: 'marker-header' })
    await new Promise(resolve => socket.once('data', resolve))
    await socket.request('marker-payload', { headers: { key: 'marker-header' } })
    await client.publish('nobody', 'marker-payload', { headers: { key: 'marker-header' } })
    client.conn.io.engine.close()
    await client.close()
    await broker.close()
  `

  test('is off unless asked for', () => {
    expect(node(program)).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  test.each(['debug', 'trace'])('at %s goes to stderr, and has no payload, header or cookie in it', level => {
    const { status, stdout, stderr } = node(program, { SELVEDGE_LOG: level })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(stderr).toMatch(/(DEBUG|INFO|TRACE).*selvedge/)
    for (const secret of SECRETS) expect(stderr).not.toContain(secret)
  })
})

describe('a copy of the package', () => {
  let copy: string

  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), 'selvedge-'))
    cpSync(join(ROOT, 'dist'), join(copy, 'dist'), { recursive: true })
    cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'))
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  })

  afterEach(() => rmSync(copy, { recursive: true, force: true }))

  const missing = (env: NodeJS.ProcessEnv, options: string[] = []) => {
    const code = `try { require(process.env.COPY) } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`
    const { status, stdout } = node(code, { COPY: copy, ...env, NODE_OPTIONS: options.join(' ') }, 'commonjs')
    expect(status).toBe(0)
    const error = JSON.parse(stdout) as { code: string; message: string }
    expect(error.code).toBe('ERR_NATIVE_MISSING')
    expect(error.message).toContain(`${process.platform}-${process.arch}`)
    expect(error.message).toContain(process.version)
    return error.message
  }

  const copyBinary = () => {
    const binaries = readdirSync(ROOT).filter(name => name.endsWith('.node'))
    for (const name of ['native.js', ...binaries]) cpSync(join(ROOT, name), join(copy, name))
    return binaries.map(name => join(copy, name))
  }

  test('without the loader says what is missing, where, and what to do', () => {
    expect(missing({})).toMatch(/there is none.*native\.js.*Fix: .*npm run build/)
  })

  test('without the binary does, too', () => {
    cpSync(join(ROOT, 'native.js'), join(copy, 'native.js'))
    expect(missing({})).toMatch(/Fix: .*npm run build/)
  })

  test.each(['nowhere', 'text'])('names an override that is no binary: %s', name => {
    copyBinary()
    const override = join(copy, name)
    if (name === 'text') writeFileSync(override, 'text')
    const text = missing({ NAPI_RS_NATIVE_LIBRARY_PATH: override })
    expect(text).toContain(`NAPI_RS_NATIVE_LIBRARY_PATH is '${override}', which is no binary of this version`)
    expect(text).toContain('Fix: correct the variable')
  })

  test('with a binary that does not load says why', () => {
    for (const file of copyBinary()) writeFileSync(file, 'no library')
    expect(missing({})).toMatch(
      /it is there, and does not load: .*Fix: build or install it for this platform/,
    )
  })

  test('in a process that may not load addons says so, and how it may', () => {
    copyBinary()
    expect(missing({}, ['--no-addons'])).toMatch(/may not load addons.*--no-addons.*--allow-addons/)
  })

  test('works side by side with another one, on the same fabric', () => {
    const binaries = readdirSync(ROOT).filter(name => name.endsWith('.node'))
    for (const name of ['native.js', ...binaries]) cpSync(join(ROOT, name), join(copy, name))
    const one = `require('./dist/index.js')`
    // The binary of the copy is a library of its own, and so is its fabric; with the same binary they share one.
    const script = (shared: boolean) => `
      const path = process.env.COPY
      ${shared ? `process.env.NAPI_RS_NATIVE_LIBRARY_PATH = ${JSON.stringify(join(ROOT, binaries[0]!))}` : ''}
      const a = ${one}
      const b = require(path + '/dist/index.js')
      const echo = async (from, to, address) => {
        const [left, right] = [from.connect({ address }), to.connect({ address })]
        const server = left.socket.listen('copies')
        server.on('connection', socket => socket.on('data', data => socket.write(data)))
        const socket = right.socket.connect('copies')
        socket.write('hi')
        const data = await new Promise(resolve => socket.once('data', resolve))
        await right.close()
        await left.close()
        return data
      }
      ;(async () => {
        const broker = a.init({ port: 0 })
        await broker.waitUntilReady()
        const address = 'http://127.0.0.1:' + broker.address().port
        console.log(a.Client === b.Client, await echo(a, b, address), await echo(b, a, address))
        console.log(await echo(a, a), await echo(b, b)${shared ? ', await echo(a, b), await echo(b, a)' : ''})
        await broker.close()
      })()
    `
    const env = { COPY: copy }
    expect(node(script(false), env, 'commonjs')).toEqual({
      status: 0,
      stdout: 'false hi hi\nhi hi\n',
      stderr: '',
    })
    expect(node(script(true), env, 'commonjs')).toEqual({
      status: 0,
      stdout: 'false hi hi\nhi hi hi hi\n',
      stderr: '',
    })
  })
})
