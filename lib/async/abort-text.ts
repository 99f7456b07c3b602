// What the other side of a socket is told when this side gives up what it had begun to write.

/** The longest text that it is told. */
const MAX_LENGTH = 500

/** Returns the text of a reason, with its code. */
export function abortText(reason: unknown): string {
  const { message, code, name } = (typeof reason === 'object' && reason !== null ? reason : {}) as {
    message?: unknown
    code?: unknown
    name?: unknown
  }
  let text = ''
  try {
    text = String(message ?? reason)
  } catch {
    // What has no words is told without.
  }
  const said = typeof code === 'string' ? code : name === 'Error' ? undefined : name
  if (typeof said === 'string') text += ` (${said})`
  return text.slice(0, MAX_LENGTH)
}
