// What a page has to load: its size, and that nothing of Node.js is in it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

/** 30 KB, as in docs/internals/browser.md. */
const LIMIT = 30_720
const files = ['selvedge.mjs', 'selvedge.iife.js'].map(name =>
  readFileSync(join(__dirname, '../../dist/browser', name), 'utf8'),
)

test('is at most 30 KB compressed', () => {
  const sizes = files.map(code => gzipSync(code, { level: 9 }).length)
  console.log(`selvedge/browser: ${sizes[0]} bytes compressed`)
  for (const size of sizes) expect(size).toBeLessThanOrEqual(LIMIT)
})

test('imports nothing, and names nothing of Node.js', () => {
  for (const code of files)
    expect(code).not.toMatch(/\bimport\b *[{*("'\w]|\brequire\(|node:|\bprocess\.|\bsetImmediate\b/)
})
