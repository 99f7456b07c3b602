// The service that every broker with a system account offers, as its callers see it.
import type { Remote, RemoteMany, RequestManyOptions, RequestOptions, SysApi } from '../../index'
import { checkOptions, type Shape } from '../values/option-checks'
import { isName } from '../values/socket-names'
import type { AnswerIterator } from './answers'
import type { Message } from './message'
import { REQUEST_MANY_SHAPE, REQUEST_SHAPE } from './options'
import { callManyProxy, callProxy } from './service'

/** What it needs of a client. */
interface Client {
  readonly info: Record<string, unknown> | undefined
  waitUntilSignedIn(): Promise<void>
  request(subject: string, data: unknown, options: RequestOptions): Promise<unknown>
  requestMany(subject: string, data: unknown, options: RequestManyOptions): Promise<unknown>
}

/** Which broker to ask. */
interface SysTarget {
  clusterName?: string
  id?: string
}

const TARGET_SHAPE: Shape = { clusterName: isName, id: isName }

/** Returns the cluster's name, which the server sends at sign-in. */
async function subjectOf(client: Client, { clusterName, id }: SysTarget): Promise<string> {
  if (clusterName === undefined && client.info === undefined) await client.waitUntilSignedIn()
  const name = clusterName ?? client.info?.clusterName ?? 'default'
  return id === undefined ? `sys.conat.${name}` : `sys.conat.${name}.${id}`
}

/** Returns the service of one broker: the one with `id`, or the first to reply. */
export function sysApi(client: Client, options: SysTarget & RequestOptions = {}): Remote<SysApi> {
  checkOptions('sysApi', options, { ...REQUEST_SHAPE, ...TARGET_SHAPE })
  const { clusterName, id, ...rest } = options
  return callProxy('sysApi', async (call, own) => {
    const subject = await subjectOf(client, { clusterName, id })
    return (await client.request(subject, call, { ...rest, ...own })) as Message | undefined
  })
}

/** Returns the service of all brokers of the fabric. */
export function sysApiMany(
  client: Client,
  options: { clusterName?: string } & RequestManyOptions = {},
): RemoteMany<SysApi> {
  checkOptions('sysApiMany', options, { ...REQUEST_MANY_SHAPE, clusterName: isName })
  const { clusterName, ...rest } = options
  return callManyProxy('sysApiMany', async call => {
    return (await client.requestMany(await subjectOf(client, { clusterName }), call, rest)) as AnswerIterator
  })
}
