// The public names. Their contract and documentation are in index.d.ts.
import './printing'

export { ConatServer, init } from './broker/broker'
export { CONNECTION_SORTS } from './broker/overview'
export { privateEnds } from './broker/permissions'
export { Client } from './client/client'
export { connect, getClient } from './client/connect'
export { randomId } from './engine/native'
export { Message, MessageData, messageData } from './messaging/message'
export {
  DEFAULT_PUBLISH_TIMEOUT,
  DEFAULT_REQUEST_TIMEOUT,
  DEFAULT_SUBSCRIPTION_TIMEOUT,
  MAX_INTEREST_TIMEOUT,
  setDefaultTimeouts,
} from './messaging/options'
export { withOptions } from './messaging/service'
export { sysApi, sysApiMany } from './messaging/sys-api'
export { traceMessage } from './messaging/watching'
export { ConatService, callConatService, createConatService } from './services/conat-service'
export { setConatClient } from './services/subject'
export { createTimeService, getSkew, time, timeClient } from './services/time'
export { createServiceClient, createServiceHandler } from './services/typed-service'
export { ConatSocketClient } from './socket/client-socket'
export { setDefaultSocketTimeouts } from './socket/options'
export { ConatSocketServer } from './socket/server'
export { ServerSocket } from './socket/server-socket'
export { watchRoom } from './socket/watch-room'
export { formatMetrics } from './telemetry/format'
export { processMetrics } from './telemetry/process'
export { DataEncoding, decode, encode } from './values/codec'
export { FabricError, FabricError as ConatError, hasCode } from './values/errors'
export { SOCKET_HEADER_CMD, SOCKET_HEADER_SEQ } from './values/headers'
export { Patterns } from './values/patterns'
export {
  isValidSubject,
  isValidSubjectWithoutWildcards,
  matchesPattern,
  matchesSegment,
} from './values/subjects'
