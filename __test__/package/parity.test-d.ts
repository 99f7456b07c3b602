// Compile-only: contracts are written by hand, and lib/ must fit them. A sub-path of package.json that has no line here
// does not compile.
import type { exports } from '../../package.json'

interface Contracts {
  '.': typeof import('../../index')
  './browser': typeof import('../../types/browser')
  './dgram': typeof import('../../types/dgram')
  './net': typeof import('../../types/net')
  './packets': typeof import('../../types/packets')
  './sockety': typeof import('../../types/sockety')
  './users': typeof import('../../types/users')
  './testing': typeof import('../../types/testing')
  './tls': typeof import('../../types/tls')
}

interface Sources {
  '.': typeof import('../../lib/index')
  './browser': typeof import('../../lib/browser/index')
  './dgram': typeof import('../../lib/dgram/index')
  './net': typeof import('../../lib/net/index')
  './packets': typeof import('../../lib/packets/index')
  './sockety': typeof import('../../lib/sockety/index')
  './users': typeof import('../../lib/users/index')
  './testing': typeof import('../../lib/testing/index')
  './tls': typeof import('../../lib/tls/index')
}

type Name = Exclude<keyof typeof exports, './package.json'>

// Classes become what their instances are, also those that only selvedge constructs.
type Instance<T> = T extends (...a: never) => unknown ? T : T extends { readonly prototype: infer I } ? I : T
type Instances<M> = { [K in keyof M]: Instance<M[K]> }

declare const implemented: { [N in Name]: Instances<Sources[N]> }
implemented satisfies { [N in Name]: Instances<Contracts[N]> }

// The other way round: nothing is exported that is not promised.
declare const names: { [N in Name]: keyof Sources[N] }
names satisfies { [N in Name]: keyof Contracts[N] }
