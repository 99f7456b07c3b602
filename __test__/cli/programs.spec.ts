// How `reply` ends while it answers: with what has begun, but not for ever.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandSuite } from '../support/command-suite'

jest.setTimeout(60_000)

const { run, start } = commandSuite()

test('a program whose requester waits has the time of --drain-deadline to answer', async () => {
  const reply = start('reply', 'slow', '--exec', 'echo begun >&2; read line; sleep 1; echo "$line"', '-v')
  await reply.until(/answering on/)
  const asked = run(['req', 'slow'], 'hello\n')
  await reply.until(/request on slow/)
  reply.child.kill('SIGTERM')
  await reply.until(/draining: 1 request, at most 10 s/)
  expect((await asked).stdout).toBe('hello\n')
  expect((await reply.ended).exit).toBe(0)
})

test('one that takes longer gets SIGTERM, and its requester is told', async () => {
  const reply = start('reply', 'hang', '--exec', 'sleep 1000 & sleep 1000', '-v', '--drain-deadline', '300')
  await reply.until(/answering on/)
  const asked = run(['req', 'hang', '1'])
  await reply.until(/request on hang/)
  const { exit, stderr } = await reply.stop()
  expect(await asked).toMatchObject({ exit: 1, stderr: 'selvedge: the program was stopped (ABORT_ERR)\n' })
  expect(stderr).toMatch(/could not answer on hang: the command was stopped\n$/)
  expect(exit).toBe(0)
})

test('one that handles SIGTERM still answers', async () => {
  const program = `trap 'echo half; exit 0' TERM; sleep 1000 & wait`
  const reply = start('reply', 'half', '--exec', program, '-v', '--drain-deadline', '300')
  await reply.until(/answering on/)
  const asked = run(['req', 'half', '1'])
  await reply.until(/request on half/)
  reply.child.kill('SIGTERM')
  expect(await asked).toMatchObject({ exit: 0, stdout: 'half\n' })
  expect((await reply.ended).exit).toBe(0)
})

test.each([
  ['a program', ['--exec', 'sleep 1000'], '1h'],
  ['an answer', ['--exec', 'true'], '1h'],
])('%s that nobody waits for any more ends at once', async (_, args, deadline) => {
  const reply = start('reply', 'gone', ...args, '-v', '--json', '--drain-deadline', deadline)
  await reply.until(/answering on/)
  const req = start('req', 'gone', '1')
  await reply.until(/request on gone|"request"/)
  await req.stop('SIGKILL')
  // The broker has seen that it is gone when somebody else is asked about.
  await run(['pub', 'nothing', '1'])
  const { exit } = await reply.stop()
  expect(exit).toBe(0)
})

test('a second signal takes the programs along', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  const pipe = join(folder, 'pipe')
  spawnSync('mkfifo', [pipe])
  const program = `exec 3>'${pipe}'; echo begun >&3; trap '' TERM; sleep 1000; sleep 1000`
  const reply = start('reply', 'twice', '--exec', program)
  await reply.until(/answering on/)
  start('req', 'twice', '1')
  // Ends when nobody has the other end any more.
  const held = createReadStream(pipe)
  const released = once(held, 'end')
  const [begun] = (await once(held, 'data')) as [Buffer]
  expect(begun.toString()).toBe('begun\n')
  reply.child.kill('SIGTERM')
  await reply.until(/draining/)
  expect((await reply.stop()).exit).toBe(143)
  await released
  rmSync(folder, { recursive: true })
})
