// Kinds of events of docs/internals/boundary.md.
export const SOCKETY_OPENED = 80
export const SOCKETY_RECORDS = 81
export const SOCKETY_DATA = 82
export const SOCKETY_CLOSED = 83
export const SOCKETY_FINISHED = 84
export const SOCKETY_ACCEPTED = 85
export const SOCKETY_LISTENING = 86
export const SOCKETY_SERVER_CLOSED = 87
