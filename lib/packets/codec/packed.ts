// Packed values: any value as MessagePack. Ours and not the library's, because bytes are strangers': see packed-reader.ts.
import { PackedWriter } from './packed-writer'

export { readPacked as unpack } from './packed-reader'

const writer = new PackedWriter()

/**
 * Returns the bytes of a value, which are valid until the next call.
 * @throws {Error} as `PackedWriter.pack`
 */
export function pack(value: unknown, depth: number): Uint8Array {
  return writer.pack(value, depth)
}
