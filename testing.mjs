// The same module for `import`.
import testing from './dist/testing/index.js'

export const { faultProxy, memoryFabric } = testing
