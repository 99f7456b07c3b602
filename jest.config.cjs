// No `forceExit`: a suite that leaves something open hangs, and that is a defect of ours to be seen.
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/**/*.spec.ts'],
  testTimeout: 20_000,
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
