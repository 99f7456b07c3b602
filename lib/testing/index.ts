// `selvedge/testing`, by name. The contract with its documentation is types/testing.d.ts.
export { type FaultProxy, faultProxy } from './fault-proxy'
export { type MemoryFabric, memoryFabric } from './memory-fabric'
