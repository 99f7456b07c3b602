// Names for connections that have none.

/** Returns 32 hex digits of chance. Not `randomUUID`, which pages on http do not have. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

/** Returns a safe integer of chance, for numbers that strangers must not guess. */
export function randomNumber(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  return (high >>> 11) * 2 ** 32 + low
}
