// No `forceExit`: a suite that leaves something open is a defect of ours, and scripts/test.mjs fails for it.
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/**/*.spec.ts'],
  // A test that takes a second on a calm machine takes thirty beside compilers; only one that hangs takes longer.
  testTimeout: 60_000,
  // Suites wait more than they compute: also two cores run two at a time.
  maxWorkers: Math.max(2, require('node:os').availableParallelism() - 1),
  forceExit: false,
  detectOpenHandles: false,
  // Platform folders have package.json files of their own; built and foreign trees hold no tests.
  modulePathIgnorePatterns: ['<rootDir>/npm/', '<rootDir>/target/'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript', decorators: false }, target: 'es2023' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
}
