// The same contract for `import`: what index.mjs re-exports is index.d.ts.
export * from './index.js'
