// Fingerprints in bytes: what stands before a packet where no connection has said which ids there are.

export const FINGERPRINT_BYTES = 8

/** Returns the bytes of hex digits. */
export function fingerprintBytes(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16)
  return bytes
}

/** Returns the fingerprint at `at`, as hex digits. */
export function envelopeKey(bytes: Uint8Array, at = 0): string {
  let hex = ''
  for (let i = at; i < at + FINGERPRINT_BYTES; i++) hex += HEX[bytes[i] as number]
  return hex
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
