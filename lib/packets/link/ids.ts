// Names for connections that have none.

/** Returns 32 hex digits of chance. Not `randomUUID`, which pages on http do not have. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}
