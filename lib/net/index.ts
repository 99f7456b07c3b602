// The public names of `selvedge/net`. Their contract and documentation are in types/net.d.ts.
export { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net'
export {
  agent,
  connect,
  createConnection,
  createServer,
  expose,
  forward,
  over,
  Server,
  Socket,
  Stream,
  serve,
} from './surface'
export { netstat, sockets } from './table'
