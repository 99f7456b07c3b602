// What is measured: the lines of the reference's benchmark, and data that is read.
const MIB = 1024 * 1024
const small = { parallel: 500 }
const large = { parallel: 16 }

export const lines = [
  { name: 'heartbeat', line: 'heartbeat', ...small },
  { name: 'no response', line: 'none', ...small, quick: true },
  { name: 'short response', line: 'short', ...small, quick: true },
  { name: 'regular response', line: 'regular', ...small, quick: true },
  { name: '1 MiB data', line: 'data', size: MIB, ...large, quick: true },
  { name: '4 MiB data', line: 'data', size: 4 * MIB, ...large },
  { name: '1 MiB file', line: 'file', size: MIB, ...large },
  { name: '1 MiB data, read', line: 'read', size: MIB, ...large, quick: true },
]
