// Where a service is: its subject, made of what names it, and the client that it uses.
import { Buffer } from 'node:buffer'
import type { ConatClientSource, ServiceName } from '../../index'
import type { Client } from '../client/client'
import { getClient } from '../client/connect'
import { invalidType } from '../values/errors'
import { checkPublishSubject } from '../values/subjects'

let source: ConatClientSource | undefined

/** Sets the client of all services and calls that name none; `undefined`: the default client again. */
export function setConatClient(given: ConatClientSource | undefined): void {
  source = given
}

/** Returns the client that was named, or set, or the default one. */
export async function clientOf(given: unknown): Promise<Client> {
  if (given !== undefined) return given as Client
  if (source === undefined) return getClient()
  const made = 'conat' in source && typeof source.conat === 'function' ? source.conat() : source
  return (await made) as unknown as Client
}

/** Returns the subject of a service: as given, or below `services.` by account, project or neither. */
export function subjectOf(name: ServiceName): string {
  const subject = name.subject ?? builtFrom(name)
  checkPublishSubject(subject)
  return subject
}

function builtFrom({
  service,
  account_id,
  browser_id,
  project_id,
  compute_server_id,
  path,
}: ServiceName): string {
  if (typeof service !== 'string') throw invalidType('service', 'a string', service)
  if (account_id !== undefined) return `services.account-${account_id}.${browser_id ?? '_'}.${service}`
  if (project_id !== undefined) {
    const place = path === undefined ? '_' : Buffer.from(path).toString('base64url') || '_'
    return `services.project-${project_id}.${compute_server_id ?? '_'}.${service}.${place}`
  }
  return `services.hub.${service}`
}
