// Default values of options: the engine's, or those that the application has set instead.
import { checkOptions, isDuration, isTimeout, pick } from '../values/option-checks'
import { native } from './native'

/** The engine's defaults, in ms and counts: what `native.defaults()` returns. */
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

/** Sets the timeouts of all later calls that set none. */
export function setDefaultTimeouts(timeouts: { request?: number; publish?: number }): void {
  checkOptions('setDefaultTimeouts', timeouts, { request: isTimeout, publish: isTimeout })
  Object.assign(defaults, pick(timeouts, ['request', 'publish']))
}

/** Sets the timeouts of all sockets that are created later. */
export function setDefaultSocketTimeouts(timeouts: {
  command?: number
  keepAlive?: number
  keepAliveTimeout?: number
}): void {
  const shape = { command: isTimeout, keepAlive: isDuration, keepAliveTimeout: isTimeout }
  checkOptions('setDefaultSocketTimeouts', timeouts, shape)
  Object.assign(defaults, pick(timeouts, ['command', 'keepAlive', 'keepAliveTimeout']))
}
