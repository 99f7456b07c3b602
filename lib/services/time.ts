// The time of one process for all others: a service that tells it, and how far the clock of this one is off.
import type { Remote, TimeApi } from '../../index'
import { checkObject, FabricError, shown } from '../values/errors'
import type { ConatService } from './conat-service'
import { createServiceClient, createServiceHandler } from './typed-service'

const NAME = { service: 'time', subject: 'services.hub.time' }
/** Milliseconds for which a skew is taken for current. */
const SKEW_LIFETIME = 60 * 60 * 1000
/** Milliseconds from a measurement that failed to the next one. */
const RETRY_PAUSE = 10_000

let skew: number | undefined
let measured: Promise<number> | undefined
/** When `time` measures again, by itself. */
let dueAt = 0

/** Serves this process's time. */
export async function createTimeService(options: { client?: unknown } = {}): Promise<ConatService> {
  checkObject('the options', options)
  return await createServiceHandler({ ...NAME, ...options, impl: { time: () => Date.now() } } as never)
}

/** Returns the time service as an object. */
export function timeClient(options: { client?: unknown; timeout?: number } = {}): Remote<TimeApi> {
  checkObject('the options', options)
  return createServiceClient<TimeApi>({ ...NAME, ...options } as never)
}

/** Resolves with how many ms this process's clock is ahead of the time service's. */
export async function getSkew(options: { client?: unknown; timeout?: number } = {}): Promise<number> {
  measured ??= measure(options).finally(() => {
    measured = undefined
  })
  return await measured
}

/**
 * Returns the time of the time service, in ms since 1970, as far as it is known: until then, and while it is
 * measured again, by the latest skew, at first 0.
 */
export function time({ noLoad = false }: { noLoad?: boolean } = {}): number {
  if (!noLoad && Date.now() > dueAt) getSkew().catch(() => {})
  return Date.now() - (skew ?? 0)
}

async function measure(options: object): Promise<number> {
  const begun = Date.now()
  let there: number
  try {
    there = await timeClient(options).time()
    // Whoever answers may say anything.
    if (Number.isNaN(new Date(there).getTime()) || typeof there !== 'number') {
      throw new FabricError(`the time service answered with no time: ${shown(there)}`, 'ERR_SERVICE')
    }
  } catch (error) {
    dueAt = Date.now() + RETRY_PAUSE
    throw error
  }
  dueAt = Date.now() + SKEW_LIFETIME
  // The answer was made in the middle of the round trip, as far as anybody knows.
  skew = (begun + Date.now()) / 2 - there
  return skew
}
