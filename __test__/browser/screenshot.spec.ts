// The picture of the chat in docs/guide/rooms.md is what its page shows, and no larger than a page of text may be.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from '../support/chromium'

const ROOT = join(__dirname, '../..')
const MAX_BYTES = 60_000

/** Width and height in the head of a PNG. */
function sizeOf(picture: Buffer): [width: number, height: number] {
  expect(picture.toString('latin1', 1, 4)).toBe('PNG')
  return [picture.readUInt32BE(16), picture.readUInt32BE(20)]
}

const testInChromium = chromium === undefined ? test.skip : test

testInChromium('the chat of the guide can be taken a picture of, as the guide shows it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-picture-'))
  const file = join(folder, 'chat.png')
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'scripts/screenshot/chat.mjs'), file],
    { encoding: 'utf8', env: { ...process.env, CHROMIUM: chromium! }, timeout: 50_000 },
  )
  expect([status, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toEqual([
    'ann',
    'bob',
    'joe',
    'ann is here',
    'bob is here',
    'joe is here',
    'ann: Good morning! Who is in today?',
    'bob: I am, whichever server I am at.',
    'joe: Me too, at another one. Kill it!',
    'joe is away',
  ])
  const [taken, shown] = [file, join(ROOT, 'docs/guide/images/chat.png')].map(path => readFileSync(path))
  rmSync(folder, { recursive: true })
  expect(sizeOf(taken!)).toEqual(sizeOf(shown!))
  for (const { length } of [taken!, shown!]) expect(length).toBeLessThan(MAX_BYTES)
})
