// What is used where an option is left out: the engine's numbers, and what the application has set in their place.
import { checkOptions, isDuration, isTimeout, pick } from '../values/option-checks'
import { native } from './native'

/** The engine's defaults, ms and counts: what `native.defaults()` says (docs/internals/boundary.md). */
interface Defaults {
  request: number
  publish: number
  interest: number
  end: number
  command: number
  keepAlive: number
  keepAliveTimeout: number
  maxQueueSize: number
  maxQueueBytes: number
  port: number
  path: string
  signInTimeout: number
  permissionTimeout: number
}

export const defaults: Defaults = JSON.parse(native.defaults()) as Defaults

/** Timeouts of all later calls that name none. */
export function setDefaultTimeouts(timeouts: { request?: number; publish?: number }): void {
  checkOptions('setDefaultTimeouts', timeouts, { request: isTimeout, publish: isTimeout })
  Object.assign(defaults, pick(timeouts, ['request', 'publish']))
}

/** The same for sockets that are made later. */
export function setDefaultSocketTimeouts(timeouts: {
  command?: number
  keepAlive?: number
  keepAliveTimeout?: number
}): void {
  const shape = { command: isTimeout, keepAlive: isDuration, keepAliveTimeout: isTimeout }
  checkOptions('setDefaultSocketTimeouts', timeouts, shape)
  Object.assign(defaults, pick(timeouts, ['command', 'keepAlive', 'keepAliveTimeout']))
}
