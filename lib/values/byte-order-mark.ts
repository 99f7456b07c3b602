// Texts of MessagePack as they were written: the library drops a U+FEFF in front of a longer one, since its TextDecoder takes
// that for a byte order mark.

const text = new TextDecoder('utf-8', { ignoreBOM: true })

/** What the library's decoder does not declare. */
interface Inside {
  readonly bytes: Uint8Array
  /** Behind what has been read. */
  readonly pos: number
  decodeUtf8String(byteLength: number, headerOffset: number): string
}

/** Returns the same decoder, which drops nothing from now on. */
export function keepMarks<Decoder extends object>(decoder: Decoder): Decoder {
  const inside = decoder as unknown as Inside
  const decode = inside.decodeUtf8String
  inside.decodeUtf8String = function (byteLength, headerOffset) {
    const decoded = decode.call(this, byteLength, headerOffset)
    const { bytes, pos } = this
    const start = pos - byteLength
    if (bytes[start] !== 0xef || bytes[start + 1] !== 0xbb || bytes[start + 2] !== 0xbf) return decoded
    return byteLength < 3 ? decoded : text.decode(bytes.subarray(start, pos))
  }
  return decoder
}
