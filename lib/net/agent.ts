// An agent of http or https whose connections are sockets on subjects.
import http from 'node:http'
import https from 'node:https'
import nodeTls from 'node:tls'
import type { AgentOptions, ConnectOptions } from '../../types/net'
import { argType } from './errors'
import { checkNetOptions } from './option-checks'
import { checkSubject, joinedOptions } from './options'
import { Socket } from './socket'
import { beginHandshake, endHandshake } from './tls-turns'

type Connected = (error: Error | null, socket?: unknown) => void

/** Returns an agent that connects to `subject`, or to what `resolve` makes of the host and port of a request. */
export function agentOf(options: AgentOptions): http.Agent {
  if (typeof options !== 'object' || options === null) throw argType('options', 'of type object', options)
  const { subject, resolve, client, tls, ...rest } = options
  checkNetOptions(options)
  if (subject != null) checkSubject('options.subject', subject)
  else if (resolve == null) throw argType('options.subject', 'of type string', subject)
  const connect = (given: ConnectOptions): Socket => {
    const all = joinedOptions(given, { subject, resolve, client }) as ConnectOptions
    return new Socket(all).connect(all)
  }
  const agent = tls ? new https.Agent(rest) : new http.Agent(rest)
  const made = agent as unknown as { createConnection(given: ConnectOptions, done?: Connected): unknown }
  made.createConnection = given => {
    const socket = connect(given)
    if (!tls) return socket
    const secured = { ...given, ...(typeof tls === 'object' ? tls : {}) } as nodeTls.ConnectionOptions
    beginHandshake(socket)
    return nodeTls
      .connect({ ...secured, socket, path: undefined })
      .once('secureConnect', () => endHandshake(socket))
  }
  return agent
}
