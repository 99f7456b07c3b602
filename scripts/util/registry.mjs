// A registry of npm for tests: it has a few packages of its own, and passes everything else on to another one.
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './run.mjs'

/**
 * Serves packages: each a `tarball` with `changes` of its package.json, or a `manifest` alone. Resolves with `{url, close}`.
 */
export async function serveRegistry(upstream, packages) {
  const own = new Map()
  for (const each of packages) {
    const { manifest, bytes } = await packed(each)
    own.set(manifest.name, { manifest, bytes })
  }
  const server = createServer((request, response) => {
    const [, name, isTarball] = /^\/([^/]+?)(\/-\/.*)?$/.exec(decodeURIComponent(request.url)) ?? []
    const found = own.get(name)
    if (found === undefined) {
      response.writeHead(302, { location: new URL(request.url.slice(1), upstream).href }).end()
      return
    }
    const { manifest, bytes } = found
    if (isTarball !== undefined) return response.end(bytes)
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
    const tarball = `http://127.0.0.1:${server.address().port}/${name}/-/${name}-${manifest.version}.tgz`
    const versions = { [manifest.version]: { ...manifest, dist: { integrity, tarball } } }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ name, 'dist-tags': { latest: manifest.version }, versions }))
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = () =>
    new Promise(resolve => {
      server.close(resolve)
      server.closeAllConnections()
    })
  return { url: `http://127.0.0.1:${server.address().port}/`, close }
}

/** The tarball with what was changed. */
async function packed({ tarball, changes = {}, manifest }) {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-registry-'))
  try {
    // What a tarball of npm has is in a folder of this name.
    mkdirSync(join(folder, 'package'))
    if (tarball !== undefined) await must('tar', ['-xzf', tarball, '-C', folder])
    const file = join(folder, 'package', 'package.json')
    const changed = { ...(manifest ?? JSON.parse(readFileSync(file, 'utf8'))), ...changes }
    writeFileSync(file, JSON.stringify(changed))
    const result = join(folder, 'result.tgz')
    await must('tar', ['-czf', result, '-C', folder, 'package'])
    const bytes = readFileSync(result)
    return { manifest: changed, bytes }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function must(command, args) {
  const { code, text } = await run(command, args, { quiet: true })
  if (code !== 0) throw Error(`${command} ${args.join(' ')}: ${text}`)
}
