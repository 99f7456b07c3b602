/** Milliseconds on one clock for all processes of a machine. */
export const now = () => Number(process.hrtime.bigint()) / 1e6

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

export const turn = () => new Promise(resolve => setImmediate(resolve))
