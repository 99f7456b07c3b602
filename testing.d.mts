// The same contract for `import`: what testing.mjs re-exports is testing.d.ts.
export * from './testing.js'
