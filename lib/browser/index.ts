// `selvedge/browser`: clients and sockets in pages, without the engine. The contract is types/browser.d.ts.
export { DataEncoding, decode, encode } from '../values/codec'
export { FabricError } from '../values/errors'
export { Client, connect } from './api/client'
export { Message, MessageData, messageData } from './api/message'
export { watchRoom } from './api/room-view'
