// Where the program nats-server is.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Its path, from the environment variable NATS_SERVER or the PATH; `undefined` when there is none. */
export function natsServer() {
  const folders = process.env.PATH?.split(delimiter) ?? []
  const candidates = [process.env.NATS_SERVER, ...folders.map(folder => join(folder, 'nats-server'))]
  return candidates.find(path => path && executable(path))
}

function executable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
