// The fabric above a broker that is a gateway: its options, and what the application is told of it.
import type { ServerOptions, UpstreamOptions } from '../../index'
import { isProxy, proxySettings, shownProxy } from '../engine/proxy'
import { clientSettings, TLS_CLIENT_SHAPE } from '../engine/tls'
import { FabricError, invalidType } from '../values/errors'
import { checkOptions, forEngine, isBoolean, isFilled, isString, type ShapeOf } from '../values/option-checks'

export const UPSTREAM_SHAPE = {
  address: isAddresses,
  user: { check: isString, engine: 'nats' },
  password: { check: isString, engine: 'nats' },
  token: { check: isFilled, engine: 'nats' },
  nkey: { check: isString, engine: 'nats' },
  credentials: { check: isString, engine: 'nats' },
  ignoreDiscovered: { check: isBoolean, default: false, engine: 'nats' },
  reserved: { check: isBoolean, default: false, engine: true },
  proxy: isProxy,
  ...TLS_CLIENT_SHAPE,
} as const satisfies ShapeOf<UpstreamOptions>

type Upstream = NonNullable<ServerOptions['upstream']>

/** Checks the option `upstream`: addresses, or an object. */
export function isUpstream(name: string, value: unknown): void {
  if (typeof value === 'string' || Array.isArray(value)) {
    isAddresses(name, value)
    return
  }
  checkOptions(name, value as object, UPSTREAM_SHAPE)
  if ((value as Partial<UpstreamOptions>).address === undefined) {
    throw new FabricError(`${name} needs an address`, 'ERR_INVALID_ARG_VALUE')
  }
}

function isAddresses(name: string, value: unknown): void {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value]
  for (const address of all) {
    if (typeof address !== 'string') throw invalidType(name, 'an address, or a list of them', address)
    // Without the text, which may hold a password.
    if (!SCHEME.test(address))
      throw new FabricError(`${name} must be nats:// or tls:// addresses`, 'ERR_INVALID_ARG_VALUE')
  }
  if (all.length === 0) throw new FabricError(`${name} has no address`, 'ERR_INVALID_ARG_VALUE')
}

const SCHEME = /^(nats|tls):\/\//i

/** Returns the part of `brokerOpen`. */
export function upstreamSettings(upstream: Upstream): Record<string, unknown> {
  const options = optionsOf(upstream)
  const address = [options.address].flat().join(',')
  return {
    ...forEngine(options, UPSTREAM_SHAPE),
    address,
    proxy: proxySettings(options.proxy, address),
    nats: forEngine(options, UPSTREAM_SHAPE, 'nats'),
    // A server may want TLS whatever the address says.
    tls: clientSettings(options),
  }
}

/** Returns the option as the application can see it: without names, passwords and keys. */
export function visibleUpstream(upstream: Upstream): Upstream {
  const { address, ignoreDiscovered, reserved, proxy } = optionsOf(upstream)
  const shown = [address].flat().map(withoutUser)
  return {
    address: shown,
    ...(ignoreDiscovered === undefined ? {} : { ignoreDiscovered }),
    ...(reserved === undefined ? {} : { reserved }),
    ...(proxy === undefined ? {} : { proxy: shownProxy(proxy) }),
  }
}

function optionsOf(upstream: Upstream): UpstreamOptions {
  return typeof upstream === 'string' || !('address' in upstream) ? { address: upstream } : upstream
}

function withoutUser(address: string): string {
  return address.replace(/(^|,|\/\/)[^/,]*@/g, '$1')
}
