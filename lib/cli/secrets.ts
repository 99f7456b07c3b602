// selvedge passwd, selvedge token: secrets, and what a users file keeps of them.
import { createHash, randomBytes, scryptSync } from 'node:crypto'
import type { Command } from 'commander'
import { examples, talking } from './command'
import { askSecret } from './connection'
import { UsageError } from './failure'
import { readAll } from './payload'
import { Terminal, type Verbosity } from './terminal'
import { count } from './values'

/** Cost, block size and parallelism of scrypt: about 50 ms and 16 MiB. */
const COST = { N: 16_384, r: 8, p: 1 } as const

export function passwd(program: Command): void {
  const command = talking(program.command('passwd'))
    .summary('hash a password')
    .description('Prints the hash of a password, which it asks for or reads from stdin.')
    .action(async (options: Verbosity & { json?: boolean }) => {
      const password = process.stdin.isTTY === true ? await askSecret('password: ') : await firstLine()
      if (password === '') throw new UsageError('the password is empty')
      const hash = hashPassword(password)
      const terminal = new Terminal(options)
      if (options.json === true) await terminal.json({ hash })
      else await terminal.line(hash)
    })
  examples(command, 'selvedge passwd', 'echo secret | selvedge passwd')
}

export function token(program: Command): void {
  const command = talking(program.command('token'))
    .summary('make a token')
    .description('Prints a new random token, and the hash that a users file keeps of it.')
    .option('--bytes <n>', 'of chance', count, 24)
    .action(async (options: Verbosity & { json?: boolean; bytes: number }) => {
      if (options.bytes < 16) throw new UsageError('a token of less than 16 bytes can be guessed')
      const secret = randomBytes(options.bytes).toString('base64url')
      const hash = `sha256$${createHash('sha256').update(secret).digest('base64url')}`
      const terminal = new Terminal(options)
      if (options.json === true) await terminal.json({ token: secret, hash })
      else {
        await terminal.line(`token  ${secret}`)
        await terminal.line(`hash   ${hash}`)
      }
    })
  examples(command, 'selvedge token', 'selvedge token --bytes 32')
}

function hashPassword(password: string): string {
  const salt = randomBytes(16)
  const hash = scryptSync(password.normalize('NFC'), salt, 32, COST)
  return `scrypt$${COST.N}$${COST.r}$${COST.p}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

async function firstLine(): Promise<string> {
  const text = (await readAll(64 * 1024)).toString()
  return text.split(/\r?\n/, 1)[0]!
}
