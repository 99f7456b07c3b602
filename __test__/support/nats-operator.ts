// An operator of NATS with one account: JWTs and `.creds` files, as its tools make them.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

const [OPERATOR, ACCOUNT, USER, SEED] = [14 << 3, 0, 20 << 3, 18 << 3]
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The text of a key: base 32 of its kind, its bytes, and their CRC-16. */
function encode(prefix: number[], bytes: Buffer): string {
  const body = Buffer.concat([Buffer.from(prefix), bytes])
  let crc = 0
  for (const byte of body) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  const bits = [...body, crc & 0xff, crc >> 8].map(byte => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map(five => BASE32[Number.parseInt(five.padEnd(5, '0'), 2)]).join('')
}

class Key {
  readonly #secret: KeyObject
  readonly name: string
  readonly seed: string

  constructor(kind: number) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    this.#secret = privateKey
    const raw = (part: 'x' | 'd') => Buffer.from(privateKey.export({ format: 'jwk' })[part]!, 'base64url')
    this.name = encode([kind], Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url'))
    this.seed = encode([SEED | (kind >> 5), (kind & 31) << 3], raw('d'))
  }

  /** Vouches for another key. */
  vouch(subject: Key, nats: object, claims: object = {}): string {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const iat = Math.floor(Date.now() / 1000)
    const body = { jti: subject.name, iat, iss: this.name, name: 'test', sub: subject.name, nats, ...claims }
    const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(body)}`
    return `${text}.${sign(null, Buffer.from(text), this.#secret).toString('base64url')}`
  }
}

export class Operator {
  readonly #operator = new Key(OPERATOR)
  readonly #account = new Key(ACCOUNT)

  /** What a server has to know. */
  get config(): string {
    const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1 }
    const limits = { ...unlimited, wildcards: true }
    const account = this.#operator.vouch(this.#account, { type: 'account', version: 2, limits })
    return `operator: ${this.#operator.vouch(this.#operator, { type: 'operator', version: 2 })}
      resolver: MEMORY
      resolver_preload: { ${this.#account.name}: ${account} }`
  }

  /** The text of the `.creds` file of a new user. */
  user(claims: object = {}): string {
    const user = new Key(USER)
    const nats = { type: 'user', version: 2, subs: -1, data: -1, payload: -1, pub: {}, sub: {} }
    return `-----BEGIN NATS USER JWT-----
${this.#account.vouch(user, nats, claims)}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${user.seed}
------END USER NKEY SEED------
`
  }
}
