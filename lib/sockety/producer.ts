// What `send` and `pass` take: a prepared message, or several.
import type { Producer } from '../../types/sockety'
import { FabricError, invalidType } from '../values/errors'
import { isUint8Array } from '../values/platform'
import { rawDraft } from './errors'
import type { FileTransfer } from './file-transfer'
import { FixedData } from './fixed-data'
import type { UUID } from './uuid'

/** One message or response, prepared. */
export interface Plan {
  /** UTF-8; absent in a response. */
  readonly action: Uint8Array | undefined
  /** What a response answers. */
  readonly parent: UUID | undefined
  readonly data: Uint8Array | FixedData | undefined
  readonly files: readonly FileTransfer[] | undefined
  readonly hasStream: boolean
}

export const HEARTBEAT = 'heartbeat'
/** A plan, several producers one after another, or a heartbeat. */
export type Prepared = Plan | readonly Producer[] | typeof HEARTBEAT

const PREPARED = Symbol('prepared')
export const RAW = Symbol('raw')

interface Holder {
  [PREPARED]?: Prepared
  [RAW]?: string
}

/** Returns a producer. It can be used any number of times, unless it has a file that can be read once. */
export function producerOf(prepared: Prepared): Producer {
  const producer = (() => {
    throw new FabricError('a producer goes to send(), pass() or broadcast()', 'ERR_INVALID_ARG_TYPE')
  }) as unknown as Holder
  producer[PREPARED] = prepared
  return producer as unknown as Producer
}

export function preparedIn(producer: unknown): Prepared {
  if (typeof producer === 'function') {
    const { [PREPARED]: prepared, [RAW]: raw } = producer as unknown as Holder
    if (prepared !== undefined) return prepared
    if (raw !== undefined) throw rawDraft(raw)
  }
  throw invalidType('producer', 'what a called draft returns', producer)
}

/** Returns the one message that a producer sends. */
export function planIn(producer: unknown): Plan {
  const plan = preparedIn(producer)
  if (!isPlan(plan)) throw invalidType('producer', 'one message: series and heartbeats go to pass()', plan)
  return plan
}

/** Returns a producer of the same messages; those that are sent from now on have the data that it has now. */
export function withFixedData(producer: Producer): Producer {
  const prepared = preparedIn(producer)
  if (prepared === HEARTBEAT) return producer
  if (!isPlan(prepared)) return producerOf(prepared.map(withFixedData))
  const { data } = prepared
  return isUint8Array(data) ? producerOf({ ...prepared, data: new FixedData(data) }) : producer
}

export function isPlan(prepared: Prepared): prepared is Plan {
  return typeof prepared === 'object' && !Array.isArray(prepared)
}

/** Returns a producer that sends others one after another, each without asking for an answer. */
export function series(...producers: Producer[]): Producer {
  for (const producer of producers) preparedIn(producer)
  return producerOf(producers)
}

/** Sends one heartbeat. */
export const heartbeat: Producer = producerOf(HEARTBEAT)
