// Passwords and tokens: only their hashes are known, and comparing takes one time whoever asks.
import { createHash, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'

const FORM = /^scrypt\$(\d+)\$(\d+)\$(\d+)\$([\w-]+)\$([\w-]+)$/
const TOKEN_FORM = /^sha256\$([\w-]{43})$/
/** More would let a users file stop the process: 128 MiB. */
const MAX_MEMORY = 128 * 1024 * 1024
/** Hashed at once, at most: each takes a thread and some memory. */
const MAX_AT_ONCE = 4

export interface PasswordHash {
  readonly options: ScryptOptions
  readonly salt: Buffer
  readonly hash: Buffer
}

/** `scrypt$N$r$p$SALT$HASH`, as `selvedge passwd` prints it; nothing for anything else. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const [, cost, blockSize, parallel, salt, hash] = FORM.exec(text) ?? []
  if (hash === undefined) return undefined
  const [N, r, p] = [Number(cost), Number(blockSize), Number(parallel)]
  if (N < 2 || (N & (N - 1)) !== 0 || r < 1 || p < 1 || p > 16 || 128 * N * r > MAX_MEMORY) return undefined
  const parsed = {
    options: { N, r, p, maxmem: 2 * MAX_MEMORY },
    salt: Buffer.from(salt!, 'base64url'),
    hash: Buffer.from(hash, 'base64url'),
  }
  return parsed.hash.length >= 16 && parsed.salt.length >= 8 ? parsed : undefined
}

/** `sha256$HASH`, as `selvedge token` prints it; nothing for anything else. */
export function parseTokenHash(text: string): string | undefined {
  return TOKEN_FORM.exec(text)?.[1]
}

export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/** Compared with where there is nobody of a name, so that it takes as long. */
const NOBODY: PasswordHash = {
  options: { N: 16_384, r: 8, p: 1, maxmem: 2 * MAX_MEMORY },
  salt: Buffer.alloc(16),
  hash: Buffer.alloc(32),
}

let running = 0
const waiting: (() => void)[] = []

/** Resolves with whether it is the password; never with `true` where there is no hash. */
export async function isPassword(password: string, expected: PasswordHash | undefined): Promise<boolean> {
  if (running >= MAX_AT_ONCE) await new Promise<void>(resolve => waiting.push(resolve))
  else running += 1
  try {
    const { options, salt, hash } = expected ?? NOBODY
    const found = await new Promise<Buffer>((resolve, reject) => {
      scrypt(password.normalize('NFC'), salt, hash.length, options, (error, key) => {
        if (error === null) resolve(key)
        else reject(error)
      })
    })
    return timingSafeEqual(found, hash) && expected !== undefined
  } finally {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next()
  }
}
