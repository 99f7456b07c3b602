// The public names of `selvedge/tls`. Their contract and documentation are in types/tls.d.ts.
export {
  checkServerIdentity,
  createSecureContext,
  DEFAULT_CIPHERS,
  DEFAULT_ECDH_CURVE,
  DEFAULT_MAX_VERSION,
  DEFAULT_MIN_VERSION,
  getCiphers,
  rootCertificates,
  TLSSocket,
} from 'node:tls'
export { connect, createServer, over, Server } from './surface'
