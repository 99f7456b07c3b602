// The numbers of the wire: types of frames, flags of PUBLISH and DELIVER.
export const PUBLISH = 1
export const DELIVER = 2
export const PUBLISHED = 3
export const PING = 4
export const PONG = 5
export const CONTROL = 6
export const WATCH = 7
export const WATCHED = 8
/** Types from here on are ignored. */
export const LATER = 128

export const ACK = 1
export const SUBJECT = 2
export const PATTERN = 4
export const CHUNK = 8
export const HEADERS = 16
export const BUNDLE = 32
export const REQUEST = 64

/** Names that each direction remembers. */
export const SLOTS = 256
