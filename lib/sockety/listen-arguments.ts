// The arguments of `listen`, in every form that Node.js has for them.
import { FabricError, invalidType } from '../values/errors'
import { checkPort } from './options'

interface Place {
  host?: string
  port?: number
  path?: string
}

interface ListenArguments {
  place: Place
  callback: (() => void) | undefined
}

/** `(port?, host?, backlog?)`, `(path, backlog?)` or `(options)`, and a callback behind them. */
export function listenArguments(args: unknown[]): ListenArguments {
  const last = args.at(-1)
  const callback = typeof last === 'function' ? (last as () => void) : undefined
  const [first, second] = callback === undefined ? args : args.slice(0, -1)
  return { place: placeOf(first, second), callback }
}

function placeOf(first: unknown, second: unknown): Place {
  if (first === undefined || first === null) return { port: 0 }
  if (typeof first === 'number' || (typeof first === 'string' && /^\d+$/.test(first))) {
    return typeof second === 'string' ? { port: checkPort(first), host: second } : { port: checkPort(first) }
  }
  if (typeof first === 'string') return { path: first }
  if (typeof first !== 'object') throw invalidType('the first argument', 'a port, a path or options', first)
  const { port, host, path } = first as { port?: unknown; host?: unknown; path?: unknown }
  if (path !== undefined) {
    if (typeof path !== 'string') throw invalidType('path', 'a string', path)
    return { path }
  }
  if (port === undefined) {
    throw new FabricError(
      'listen needs a port or a path: a handle of Node.js is not taken',
      'ERR_INVALID_ARG_VALUE',
    )
  }
  if (host !== undefined && typeof host !== 'string') throw invalidType('host', 'a string', host)
  return { port: checkPort(port), host }
}
