// The process around the package: its log, its copies, and clocks that a test runner has replaced.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run'

test('a copy that nobody refers to is freed, unless something of it is open', async () => {
  const ended = await run('copies.cjs', [], { node: ['--expose-gc'] })
  expect(ended).toMatchObject({ code: 0, stderr: '' })
  const { loaded, used, open } = JSON.parse(ended.stdout)
  // The garbage collector may leave one or two for later.
  expect(loaded).toBeLessThanOrEqual(2)
  expect(used).toBeLessThanOrEqual(2)
  expect(open).toBe(1)
})

test.each(['before', 'before, and moved once', 'after'])(
  'timers that are replaced change nothing: %s it is loaded',
  async when => {
    const ended = await run('fake-timers.cjs', [when])
    expect(ended).toMatchObject({ code: 0, stdout: 'ready,answer,echo', stderr: '' })
  },
)

test.each(['real', 'replaced'])(
  'with timers that are %s, data comes behind the answer before it',
  async timers => {
    const ended = await run('first-turn.cjs', [timers])
    expect(ended).toMatchObject({ code: 0, stdout: 'answer,data', stderr: '' })
  },
)

// `/dev/full` is Linux's.
const onLinux = process.platform === 'linux' ? test : test.skip

onLinux.each(['a full disk', 'a reader that has gone'])('a log to %s stops nothing', async where => {
  const full = where === 'a full disk' ? openSync('/dev/full', 'w') : undefined
  const child = spawn(process.execPath, [join(__dirname, 'programs/broken-log.mjs')], {
    env: { ...process.env, CONAT_SERVER: '', SELVEDGE_LOG: 'trace' },
    stdio: ['ignore', 'pipe', full ?? 'pipe'],
    timeout: 30_000,
  })
  child.stderr?.destroy()
  let text = ''
  child.stdout!.on('data', chunk => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  if (full !== undefined) closeSync(full)
  expect({ code, text }).toEqual({ code: 0, text: 'echo' })
})
