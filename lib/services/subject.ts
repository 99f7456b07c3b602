// Where a service is: its subject, made of what names it, and the client that it uses.
import { Buffer } from 'node:buffer'
import type { ConatClientSource, ServiceName } from '../../index'
import type { Client } from '../client/client'
import { getClient } from '../client/connect'
import { checkObject, FabricError, invalidType, shown } from '../values/errors'
import { isToken } from '../values/socket-names'
import { checkPublishSubject } from '../values/subjects'

let source: ConatClientSource | undefined

/** Sets the client of all services and calls that name none; `undefined`: the default client again. */
export function setConatClient(given: ConatClientSource | undefined): void {
  if (given !== undefined && !hasMaker(given)) checkClient(given)
  source = given
}

function hasMaker(given: ConatClientSource): given is { conat: () => Client } & ConatClientSource {
  return typeof (given as { conat?: unknown } | null)?.conat === 'function'
}

/** Clients of another copy of the package are clients, too. */
function checkClient(given: unknown): Client {
  const { subscribeSync, request } = (given ?? {}) as Partial<Client>
  if (typeof subscribeSync === 'function' && typeof request === 'function') return given as Client
  throw invalidType('client', 'a Client', given)
}

/** Returns the client that was named, or set, or the default one. */
export async function clientOf(given: unknown): Promise<Client> {
  if (given !== undefined) return checkClient(given)
  if (source === undefined) return getClient()
  return checkClient(await (hasMaker(source) ? source.conat() : source))
}

/** Returns the subject of a service: as given, or below `services.` by account, project or neither. */
export function subjectOf(name: ServiceName): string {
  checkObject('the service', name)
  const subject = name.subject ?? builtFrom(name)
  checkPublishSubject(subject)
  return subject
}

function builtFrom(name: ServiceName): string {
  const { account_id, browser_id, project_id, compute_server_id, path } = name
  if (typeof name.service !== 'string') throw invalidType('service', 'a string', name.service)
  const service = token('service', name.service)
  if (!isAbsent(account_id)) {
    return `services.account-${token('account_id', account_id)}.${place('browser_id', browser_id)}.${service}`
  }
  if (isAbsent(project_id)) return `services.hub.${service}`
  const project = `${token('project_id', project_id)}.${place('compute_server_id', compute_server_id)}`
  if (!isAbsent(path) && typeof path !== 'string') throw invalidType('path', 'a string', path)
  return `services.project-${project}.${service}.${Buffer.from(path ?? '').toString('base64url') || '_'}`
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

function place(name: string, value: string | number | undefined): string {
  return isAbsent(value) ? '_' : token(name, value)
}

/** Of two tokens, or none, another service would be meant. */
function token(name: string, value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw invalidType(name, 'a string', value)
  if (isToken(String(value))) return String(value)
  throw new FabricError(
    `invalid subject: ${name} must be one token, got '${shown(value)}'`,
    'ERR_INVALID_SUBJECT',
  )
}
