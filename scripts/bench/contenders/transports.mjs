// The transports into a broker of ours: what the broker is told, where it is then, and what its clients are told.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const net = scheme => server => `${scheme}://127.0.0.1:${server.address().port}`
// Made for the tests.
export const certificate = name =>
  readFileSync(new URL(`../../../tests/data/tls/${name}.pem`, import.meta.url), 'utf8')

export const transports = {
  /** None: only for clients of the same process. */
  none: { init: () => ({ port: null }), address: () => undefined },
  tcp: { init: () => ({ port: 0 }), address: net('http') },
  websocket: { init: () => ({ port: 0 }), address: net('ws') },
  tls: {
    init: () => ({ port: 0, ssl: { key: certificate('server.key'), cert: certificate('server') } }),
    address: net('https'),
    connect: () => ({ ca: certificate('ca') }),
  },
  unix: {
    init: () => ({ socketPath: join(folder(), 'socket') }),
    address: server => `unix:${server.address().address}`,
  },
}

/** A folder that goes with this process. */
function folder() {
  const made = mkdtempSync(join(tmpdir(), 'selvedge-bench-'))
  process.on('exit', () => rmSync(made, { recursive: true, force: true }))
  return made
}
