// Where a broker answers over HTTP, beside its own path.

export const METRICS_PATH = '/metrics'
/** With all below it. */
export const MONITOR_PATH = '/monitor'
