// Answers that are nothing but a number.

/** The codes with a name; any other up to 4095 is the application's own. */
export enum FastReply {
  Accept = 0,
  Reject = 1,
  NotImplemented = 2,
  Unauthorized = 3,
  BadRequest = 4,
  InternalError = 5,
}

const MAX_FAST_REPLY = 4095

export function isFastReply(code: unknown): boolean {
  return Number.isInteger(code) && (code as number) >= 0 && (code as number) <= MAX_FAST_REPLY
}

export const FastReplyDescription: Readonly<Record<FastReply, string>> = {
  [FastReply.Accept]: 'Accepted',
  [FastReply.Reject]: 'Rejected',
  [FastReply.NotImplemented]: 'Not Implemented',
  [FastReply.Unauthorized]: 'Unauthorized',
  [FastReply.BadRequest]: 'Bad Request',
  [FastReply.InternalError]: 'Internal Error',
}

export function isKnownFastReply(code: number): code is FastReply {
  return Object.hasOwn(FastReplyDescription, code)
}

/** Returns a fast reply in words; anything else that `response()` resolves with is a `Response`. */
export function getResponseDescription(response: unknown): string {
  if (typeof response !== 'number') return 'Response'
  return isKnownFastReply(response) ? FastReplyDescription[response] : `Custom #${response}`
}
