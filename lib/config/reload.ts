// Files that are read again while a program runs.
import { countReloadFailure } from '../telemetry/reloads'

/** Counts a reload that fails in `selvedge_broker_config_reload_failures_total`. */
export async function countingFailures<T>(reload: () => Promise<T>): Promise<T> {
  try {
    return await reload()
  } catch (error) {
    countReloadFailure()
    throw error
  }
}
