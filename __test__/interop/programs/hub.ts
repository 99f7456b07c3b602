// A hub, as programs for Conat start one: with the whole set of options, users by cookie, and a system account.
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConatError, type ConatServer, init } from 'selvedge'

export interface User {
  account_id?: string
  project_id?: string
  hub_id?: string
}

export const PASSWORD = 'system-secret'

/** May use what is its own, the inbox included; hubs may do all. */
function isAllowed({ user, subject, type }: { user: User; subject: string; type: 'pub' | 'sub' }): boolean {
  if (user?.hub_id) return true
  const own = user?.account_id ? `account-${user.account_id}` : `project-${user?.project_id}`
  if (subject.startsWith('_INBOX.') && type === 'pub') return true
  if (subject.startsWith(`_INBOX.${own}`)) return true
  return subject.split('.').includes(own)
}

export async function startHub(httpServer: Server): Promise<ConatServer> {
  const server = init({
    httpServer,
    port: (httpServer.address() as AddressInfo).port,
    id: '0',
    path: '/conat',
    clusterName: 'default',
    localClusterSize: 1,
    autoscanInterval: 10_000,
    longAutoscanInterval: 60_000,
    clusterIpAddress: '127.0.0.1',
    maxSubscriptionsPerClient: 500,
    maxSubscriptionsPerHub: 15_000,
    systemAccountPassword: PASSWORD,
    ssl: false,
    transports: ['websocket'],
    pingInterval: 25_000,
    pingTimeout: 20_000,
    maxHttpBufferSize: 8_000_000,
    cors: { origin: '*' },
    logger: () => {},
    getUser: async (socket, systemAccounts) => {
      const cookies = Object.fromEntries(
        (socket.handshake.headers.cookie ?? '')
          .split(';')
          .map(pair => pair.trim().split('=') as [string, string]),
      )
      for (const [name, { password, user }] of Object.entries(systemAccounts ?? {})) {
        if (cookies[name] === password) return user
      }
      if (cookies.account_id) return { account_id: cookies.account_id }
      if (cookies.project_id) return { project_id: cookies.project_id }
      throw new ConatError('sign in first', { code: 401 })
    },
    isAllowed,
  })
  if (server.state !== 'ready') await new Promise<void>(ready => server.once('ready', ready))
  return server
}
