// The public names of `selvedge/testing`. Their contract and documentation are in types/testing.d.ts.
export { type FaultProxy, faultProxy } from './fault-proxy'
export { type MemoryFabric, memoryFabric } from './memory-fabric'
