// Certificates for tests, made by tests/data/tls/make.sh. Test keys: they protect nothing.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const path = (name: string): string => join(__dirname, '../../tests/data/tls', name)
const read = (name: string): string => readFileSync(path(name), 'utf8')

/** Has signed all that `material` gives. */
export const CA = read('ca.pem')
/** Has signed none of them. */
export const OTHER_CA = read('other-ca.pem')

/** `server` and `renewed` are for localhost, `elsewhere` for another name; `expired` was; `client` is Ada's. `self-signed` is an authority by its own signature; so are `same-name`, somebody else's, and `no-names`, which has only a CN. */
export function material(
  name: 'server' | 'renewed' | 'elsewhere' | 'expired' | 'client' | 'self-signed' | 'same-name' | 'no-names',
): {
  key: string
  cert: string
} {
  return { key: read(`${name}.key.pem`), cert: read(`${name}.pem`) }
}

/** The paths of the same, for another program. */
export function materialFiles(name: 'server' | 'self-signed'): { key: string; cert: string } {
  return { key: path(`${name}.key.pem`), cert: path(`${name}.pem`) }
}
