// The two ways to a codec, of which each behaviour is tested: with generated code, and interpreted.
import type { CodecOptions } from 'selvedge/packets'
import { SchemaCodec } from '../../lib/packets/codec/codec'
import { parseSchema } from '../../lib/packets/codec/schema'

export type Way = 'generated' | 'interpreted'
export const WAYS: readonly Way[] = ['generated', 'interpreted']

export function codecOf(way: Way, schema: unknown, options?: CodecOptions): SchemaCodec {
  return new SchemaCodec(parseSchema(schema), options, { generated: way === 'generated' })
}

export interface Outcome {
  value?: unknown
  code?: string | number
  message?: string
  path?: string
  offset?: number
}

/** What came of a call: its value, or what there is to know of its error. */
export function outcome(call: () => unknown): Outcome {
  try {
    return { value: call() }
  } catch (error) {
    const { code, message, path, offset } = error as Outcome
    return { code, message, path, offset }
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
