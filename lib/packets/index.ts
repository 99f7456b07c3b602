// `selvedge/packets`, by name. The contract with its documentation is types/packets.d.ts.
export { compileSchema, packed } from './codec'
export { PacketError } from './errors'
