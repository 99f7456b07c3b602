// Starts connections.
import type { ConnectOptions, SecureConnectOptions } from '../../types/sockety'
import { nextHandle } from '../engine/commands'
import { native } from '../engine/native'
import { invalidType, invalidValue } from '../values/errors'
import { errorFrom } from '../values/failure'
import { Connection } from './connection'
import { connectionSettings, connectSettings } from './options'

/** A URL, or a host with a port: nobody calls a socket so, and it would only not be found. */
const NO_PATH = /^[a-z][a-z+.-]*:\/\/|^[\w.-]+:\d+$|^\[[\da-f:.]+\]:\d+$/i

type Options = ConnectOptions | SecureConnectOptions

/** `(options)`, `(port, options?)`, `(port, host?, options?)` or `(path, options?)`. */
type Arguments = [
  where: Options | number | string,
  second?: Options | string | undefined,
  third?: Options | undefined,
  ...more: unknown[],
]

export function connect(...args: Arguments): Connection {
  return start(args, false)
}

export function secureConnect(...args: Arguments): Connection {
  return start(args, true)
}

function start(args: Arguments, isSecure: boolean): Connection {
  const options = optionsOf(args)
  const settings = connectSettings(options, isSecure)
  const handle = nextHandle()
  const connection = new Connection(handle, connectionSettings(options), undefined, placeOf(options))
  const failure = native.socketyConnect(handle, settings)
  if (failure !== null) {
    connection.abandon()
    throw errorFrom(failure)
  }
  return connection
}

/** Where a connection goes, in words. */
function placeOf({ path, host = 'localhost', port }: Options): string {
  return path ?? (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
}

function optionsOf([where, second, third, ...more]: Arguments): Options {
  if (typeof where === 'object' && where !== null) return where
  const isHost = typeof second === 'string' || (second ?? undefined) === undefined
  const options = (isHost ? third : second) ?? undefined
  if (options !== undefined && (typeof options !== 'object' || Array.isArray(options))) {
    throw invalidType(
      isHost ? 'options' : 'the second argument',
      isHost ? 'an object' : 'a host or options',
      options,
    )
  }
  if (!isHost && third !== undefined) throw invalidType('the third argument', 'absent after options', third)
  if (more.length > 0) throw invalidType('the fourth argument', 'absent: await ready()', more[0])
  if (typeof where === 'string' && !/^\d+$/.test(where)) {
    if (NO_PATH.test(where))
      throw invalidValue('path', 'a socket in the file system, or use (port, host)', where)
    if (typeof second === 'string') throw invalidType('the second argument', 'options, after a path', second)
    return { ...options, path: where }
  }
  if (typeof where !== 'number' && typeof where !== 'string') {
    throw invalidType('the first argument', 'a port, a path or options', where)
  }
  const host = typeof second === 'string' ? { host: second } : undefined
  return { ...options, ...host, port: where }
}
