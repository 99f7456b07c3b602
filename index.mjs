// The same module for `import`: the state lives once, in the CommonJS build.
import selvedge from './dist/index.js'

export const {
  Client,
  ConatError,
  ConatSocketClient,
  ConatSocketServer,
  DataEncoding,
  FabricError,
  Message,
  MessageData,
  ServerSocket,
  SOCKET_HEADER_CMD,
  SOCKET_HEADER_SEQ,
  connect,
  decode,
  encode,
  getClient,
  init,
  isValidSubject,
  isValidSubjectWithoutWildcards,
  matchesPattern,
  messageData,
  setDefaultSocketTimeouts,
  setDefaultTimeouts,
} = selvedge
