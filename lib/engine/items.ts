// What travels in a socket's stream beside data, by the encoding byte (docs/protocols/socket.md).

/** Up to it everything is data. */
export const LAST_DATA = 0x7f
export const REQUEST = 0x81
export const REQUEST_MANY = 0x82
export const ANSWER = 0x83
export const ANSWER_MORE = 0x84
export const ANSWER_END = 0x85
export const REFUSAL = 0x86
export const CANCEL = 0x87

/** Why nobody waits for an answer any more: the caller's signal aborted. */
export const CANCELLED_BY_SIGNAL = 2
/** Why nobody waits for an answer any more: it is not wanted. */
export const CANCELLED = 0
