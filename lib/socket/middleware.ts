// What decides about connections before they are emitted: functions in a row, each of which lets a socket pass or
// refuses it.
import { types } from 'node:util'
import { startTimer } from '../async/timer'
import { FabricError } from '../values/errors'
import { throwAsync } from '../values/throw-async'
import type { ServerSocket } from './server-socket'

/**
 * Calls `next`, with an error to refuse; or, if it takes one argument only, returns or resolves. An error, or `false`, that
 * it returns refuses, too.
 */
export type Middleware = (socket: ServerSocket, next: (error?: unknown) => void) => unknown

/** What a middleware that names no code refuses with. */
const FORBIDDEN = 403

/**
 * Resolves with why a socket is refused, if it is: by the `first` function or one behind it, those included that are added
 * meanwhile. Never rejects.
 */
export async function refusalOf(
  all: readonly Middleware[],
  socket: ServerSocket,
  timeout: number,
  first: number,
): Promise<FabricError | undefined> {
  for (let n = first; n < all.length; n += 1) {
    try {
      await within(timeout, socket, all[n]!)
    } catch (error) {
      return refusal(error)
    }
    if (socket.state === 'closed') return undefined
  }
  return undefined
}

function within(timeout: number, socket: ServerSocket, middleware: Middleware): Promise<void> {
  return new Promise((resolve, reject) => {
    /** It has called `next`, or returned its decision. */
    let isDecided = false
    let told: unknown
    const timer = startTimer(timeout, () => {
      reject(new FabricError(`the server has not decided about this socket within ${timeout} ms`, 408))
    })
    const next = (error?: unknown): void => {
      if (isDecided) {
        // It is too late to refuse for it: told as the error of a handler is.
        if (error !== undefined && error !== null && error !== told) throwAsync(error)
        return
      }
      isDecided = true
      told = error
      timer.stop()
      if (error === undefined || error === null) resolve()
      else reject(error)
    }
    const refuse = (error: unknown): void => next(error ?? new FabricError('refused', FORBIDDEN))
    const judge = (returned: unknown): void => {
      if (isDecided) return
      if (returned === false) refuse(undefined)
      else if (types.isNativeError(returned)) refuse(returned)
      else if (middleware.length < 2) next()
    }
    try {
      const returned = middleware(socket, next)
      if (middleware.length < 2 || returned instanceof Promise) Promise.resolve(returned).then(judge, refuse)
      else judge(returned)
    } catch (error) {
      refuse(error)
    }
  })
}

/** Makes what the client is told, of anything. */
function refusal(error: unknown): FabricError {
  const { message, code } = (typeof error === 'object' ? error : {}) as { message?: unknown; code?: unknown }
  const text = typeof message === 'string' && message !== '' ? message : String(error)
  const isCode = typeof code === 'number' || (typeof code === 'string' && code !== '')
  return new FabricError(text.slice(0, MAX_TEXT), isCode ? code : FORBIDDEN)
}

/** Characters of a refusal's text: it travels in the headers. */
const MAX_TEXT = 4096
