// Written by `npm run kinds` from src/boundary/kinds.rs; tests/kinds.rs compares the two.
// A kind is the number of its system, then its own: one byte each (docs/internals/boundary.md).

// Commands of system 1 (Fabric)
export const CLIENT_CONNECT = 0x0101
export const CLIENT_DISCONNECT = 0x0102
export const CLIENT_CLOSE = 0x0103
export const DROP_TRANSPORT = 0x0104
export const SYNC_SUBSCRIPTIONS = 0x0105
export const CLUSTER = 0x0106
export const CANCEL = 0x0107
export const CLIENT_LEAVE = 0x0108
export const TELL_SOCKETS = 0x0109
export const PUBLISH = 0x0110
export const PUBLISH_MANY = 0x0111
export const REQUEST = 0x0112
export const SUBSCRIBE = 0x0113
export const UNSUBSCRIBE = 0x0114
export const WAIT_FOR_INTEREST = 0x0115
export const DRAIN = 0x0116
export const BOUND_UNREAD = 0x0117
export const PUBLISH_TIMED = 0x0118
export const LISTEN = 0x0120
export const LISTENER_RETIRE = 0x0121
export const LISTENER_CLOSE = 0x0122
export const LISTENER_END = 0x0123
export const SOCKET_CONNECT = 0x0130
export const SOCKET_WRITE = 0x0131
export const SOCKET_WRITE_VOLATILE = 0x0132
export const BROADCAST = 0x0133
export const BROADCAST_VOLATILE = 0x0134
export const SOCKET_ASK = 0x0135
export const CONSUMED = 0x0136
export const SOCKET_DISCONNECT = 0x0137
export const SOCKET_RECONNECT = 0x0138
export const SOCKET_CLOSE = 0x0139
export const SOCKET_END = 0x013a
export const SERVER_CHOSEN = 0x013b
export const COLLECT = 0x013c
export const SOCKET_CANCEL = 0x013d
export const SOCKET_WRITE_TIMED = 0x013e
export const SOCKET_DROPPED = 0x013f
export const SOCKET_GIVE_UP = 0x0140

// Commands of system 2 (Broker)
export const USER_FOUND = 0x0201
export const PERMISSION_DECIDED = 0x0202

// Commands of system 4 (Sockety)
export const SOCKETY_OPERATIONS = 0x0401

// Events of system 1 (Fabric)
export const CLIENT_STATE = 0x0101
export const CONNECT_FAILED = 0x0102
export const CLIENT_ENDING = 0x0103
export const PERMISSION = 0x0104
export const PUBLISHED = 0x0110
export const REPLY = 0x0111
export const DONE = 0x0112
export const FAILED = 0x0113
export const STRINGS = 0x0114
export const DELIVERED = 0x0115
export const DELIVERED_MANY = 0x0116
export const LEFT_OUT = 0x0117
export const DELIVERED_TIMED = 0x0118
export const ACCEPTED = 0x0120
export const LISTENER_STATE = 0x0121
export const SOCKET_STATE = 0x0130
export const SOCKET_DATA = 0x0131
export const SOCKET_DATA_MANY = 0x0132
export const SOCKET_REQUEST_RECEIVED = 0x0133
export const SOCKET_ACKED = 0x0134
export const SOCKET_COUNTERS = 0x0135
export const SOCKET_UNDELIVERED = 0x0136
export const SOCKET_COLLECTED = 0x0137
export const CHOOSE_SERVER = 0x0138
export const SOCKET_REQUEST_FAILED = 0x0139
export const SOCKET_BOUND = 0x013a
export const SOCKET_REQUEST_DONE = 0x013b
export const SOCKET_TIMED = 0x013c
export const SOCKET_STALE = 0x013d
export const SOCKET_UNWELCOME = 0x013e
export const SOCKET_UNSERVED = 0x013f

// Events of system 2 (Broker)
export const BROKER_STATE = 0x0201
export const AUTHENTICATE_REQUEST = 0x0202
export const AUTHORIZE_REQUEST = 0x0203
export const CONNECTION_GONE = 0x0204
export const PAGE_REQUEST = 0x0205

// Events of system 3 (Pipe)
export const PIPE_BYTES = 0x0301
export const PIPE_CONSUMED = 0x0302
export const PIPE_END = 0x0303

// Events of system 4 (Sockety)
export const SOCKETY_OPENED = 0x0401
export const SOCKETY_RECORDS = 0x0402
export const SOCKETY_DATA = 0x0403
export const SOCKETY_CLOSED = 0x0404
export const SOCKETY_FINISHED = 0x0405
export const SOCKETY_ACCEPTED = 0x0410
export const SOCKETY_LISTENING = 0x0411
export const SOCKETY_SERVER_CLOSED = 0x0412

// Operations of Sockety
export const SOCKETY_SEND = 1
export const SOCKETY_FAST_REPLY = 2
export const SOCKETY_WRITE = 3
export const SOCKETY_END = 4
export const SOCKETY_ABORT = 5
export const SOCKETY_READ = 6
export const SOCKETY_DISCARD = 7
export const SOCKETY_FORGET = 8
export const SOCKETY_HEARTBEAT = 9
export const SOCKETY_MARK = 10
export const SOCKETY_GO_AWAY = 11
export const SOCKETY_CLOSE = 12
export const SOCKETY_DESTROY = 13
