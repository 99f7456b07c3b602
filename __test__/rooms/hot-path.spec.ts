// Middleware and rooms cost a message nothing: as many functions of the package are called for it as without them.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

test('a message costs as many calls over a socket of a listener with middleware, or in a room, as over any other', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(__dirname, '../../scripts/hot-path.mjs'),
  ])
  const { 'nothing else': plain, ...others } = JSON.parse(stdout) as Record<string, number>
  expect(plain).toBeGreaterThan(5)
  expect(Object.keys(others)).toEqual(['middleware', 'a room'])
  // In how many reads the messages come is up to the moment.
  for (const count of Object.values(others)) expect(Math.abs(count / plain! - 1)).toBeLessThan(0.01)
}, 60_000)
