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
/** Who waits for their turn, by address: each address has one in turn, so that who sends many waits for themselves. */
const waiting = new Map<string, (() => void)[]>()

/**
 * Resolves with whether it is the password; never with `true` where there is no hash. `begin` is called when its turn has
 * come, before anything is hashed; what it throws is thrown.
 */
export async function isPassword(
  password: string,
  expected: PasswordHash | undefined,
  address: string,
  begin: () => void,
): Promise<boolean> {
  if (running >= MAX_AT_ONCE) await turnOf(address)
  else running += 1
  try {
    begin()
    const { options, salt, hash } = expected ?? NOBODY
    const found = await new Promise<Buffer>((resolve, reject) => {
      scrypt(password.normalize('NFC'), salt, hash.length, options, (error, key) => {
        if (error === null) resolve(key)
        else reject(error)
      })
    })
    return timingSafeEqual(found, hash) && expected !== undefined
  } finally {
    passOn()
  }
}

function turnOf(address: string): Promise<void> {
  return new Promise(resolve => {
    const own = waiting.get(address)
    if (own === undefined) waiting.set(address, [resolve])
    else own.push(resolve)
  })
}

function passOn(): void {
  const [first] = waiting
  if (first === undefined) {
    running -= 1
    return
  }
  const [address, own] = first
  // It goes to the end of the line of addresses.
  waiting.delete(address)
  const next = own.shift()
  if (own.length > 0) waiting.set(address, own)
  next?.()
}
