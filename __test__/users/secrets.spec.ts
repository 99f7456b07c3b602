// Passwords: an address that sends many waits for itself, and what is not begun is not hashed.
import { scryptSync } from 'node:crypto'
import { isPassword, type PasswordHash } from '../../lib/users/secrets'

const options = { N: 1024, r: 8, p: 1 }
const salt = Buffer.alloc(16)
const expected: PasswordHash = { options, salt, hash: scryptSync('right', salt, 32, options) }

test('addresses take turns', async () => {
  const order: string[] = []
  const ask = (address: string): Promise<unknown> =>
    isPassword('wrong', expected, address, () => order.push(address))
  await Promise.all([...Array.from({ length: 40 }, () => ask('many')), ask('one'), ask('other')])
  expect(order.length).toBe(42)
  expect(order.indexOf('one')).toBeLessThan(8)
  expect(order.indexOf('other')).toBeLessThan(8)
})

test('one that must not begin any more is refused, and the next has its turn', async () => {
  const refused = (): never => {
    throw Error('too many')
  }
  const asked = Array.from({ length: 10 }, () => isPassword('right', expected, 'a', refused))
  const right = isPassword('right', expected, 'a', () => {})
  const ends = await Promise.allSettled(asked)
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true)
  expect(await right).toBe(true)
})
