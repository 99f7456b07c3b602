// What no honest side says: the rows of the protocol's table, as bytes. `inputs` has packets of every kind of data.
import { Packet, PacketRegistry } from 'selvedge/packets'
import {
  CALL,
  CANCEL,
  ERROR,
  frame,
  HELLO,
  hello,
  POST,
  packed,
  RESULT,
  SCHEMA,
  text,
  varuint,
} from './raw-peer'

export const Echo = Packet('packed')
export const Num = Packet({ n: 'uint8' })
export const Slow = Packet({})

export const inputs = new PacketRegistry({
  Bytes: Packet('buffer'),
  Echo,
  Flag: Packet('bool'),
  Hollow: Packet([{}]),
  Long: Packet('varuint'),
  Num,
  Numbers: Packet(['uint8']),
  Real: Packet('float64'),
  Slow,
  Text: Packet('string'),
})

/** The canonical texts of `inputs`. */
export const THEIRS: Readonly<Record<string, string>> = {
  Bundle: '{"data":"buffer"}',
  Bytes: '{"data":"buffer"}',
  Echo: '{"data":"packed"}',
  Flag: '{"data":"bool"}',
  Hollow: '{"data":[{}]}',
  Long: '{"data":"varuint"}',
  Num: '{"data":{"n":"uint8"}}',
  Numbers: '{"data":["uint8"]}',
  Real: '{"data":"float64"}',
  Redirect: '{"data":"string"}',
  Refresh: '{"data":{}}',
  Slow: '{"data":{}}',
  Text: '{"data":"string"}',
}

export const idOf = (name: string, packets: object = THEIRS): number =>
  Object.keys(packets).sort().indexOf(name) + 1

const packedBody = (body: string) => Buffer.concat([varuint(body.length / 2), Buffer.from(body, 'hex')])
const list = (levels: number) => packedBody(`${'91'.repeat(levels)}01`)

function bundle(...packets: [id: number, body: Uint8Array][]): Buffer {
  const parts = packets.flatMap(([id, body]) => {
    const head = Buffer.alloc(6)
    head.writeUInt32LE(body.length)
    head.writeUInt16LE(id, 4)
    return [head, body]
  })
  const all = Buffer.concat(parts)
  return Buffer.concat([varuint(all.length), all])
}

function bundleOf(levels: number): Buffer {
  let body = bundle()
  for (let i = 1; i < levels; i++) body = bundle([idOf('Bundle'), body])
  return body
}

const one = Buffer.from([1])

/** Bodies that do not fit. Each costs its call or its post, and nothing else. */
export const BODIES: readonly [what: string, name: string, body: string | Uint8Array, code?: string][] = [
  ['nothing', 'Num', ''],
  ['a float64 that is cut off', 'Real', '3ff00000000000'],
  ['bytes left over', 'Num', '0102'],
  ['bytes where there is no data', 'Refresh', '00'],
  ['the bool 2', 'Flag', '02'],
  ['Infinity', 'Real', '7ff0000000000000'],
  ['an overlong varuint', 'Long', '8000'],
  ['a varuint of six bytes', 'Long', 'ffffffffff01'],
  ['a varuint above 2^31 - 1', 'Long', '8080808008'],
  ['a text beyond the input', 'Text', '05'],
  ['a text of 2 GiB', 'Text', 'ffffffff07'],
  ['a text with an overlong length', 'Text', '8000'],
  ['a text that is no UTF-8', 'Text', '02c328'],
  ['a text with a surrogate', 'Text', '03eda080'],
  ['a text with an overlong form', 'Text', '02c080'],
  ['bytes of 2 GiB', 'Bytes', 'ffffffff07'],
  ['an array of 2^31 - 1', 'Numbers', 'ffffffff07'],
  ['an array with one element too few', 'Numbers', '030102'],
  ['1025 elements without bytes', 'Hollow', '8108'],
  ['2^31 - 1 elements without bytes', 'Hollow', 'ffffffff07'],
  ['c1 in MessagePack', 'Echo', packedBody('c1')],
  ['MessagePack that is cut off', 'Echo', packedBody('9201')],
  ['two values of MessagePack', 'Echo', packedBody('0101')],
  ['no value of MessagePack', 'Echo', packedBody('')],
  ['65 levels of MessagePack', 'Echo', list(64)],
  ['200 000 levels of MessagePack', 'Echo', list(200_000)],
  ['a map of 2^32 - 1', 'Echo', packedBody('dfffffffff')],
  ['a list of 2^32 - 1 in half a megabyte', 'Echo', packedBody(`ddffffffff${'00'.repeat(500_000)}`)],
  ['__proto__', 'Echo', packedBody('81a95f5f70726f746f5f5f01')],
  ['a bundle with an id that is nobody s', 'Bundle', bundle([99, one])],
  ['a bundle with the id 0', 'Bundle', bundle([0, one])],
  ['a bundle with a cut head', 'Bundle', packedBody('0100')],
  ['a bundle with a length beyond', 'Bundle', packedBody('ffff00000300')],
  ['a bundle with a length of 4 GiB', 'Bundle', packedBody('ffffffff0300')],
  ['a bundle with bytes behind', 'Bundle', '0000'],
  [
    'a bundle with one bad packet in it',
    'Bundle',
    bundle([idOf('Num'), one], [idOf('Num'), Buffer.from([7, 8])]),
  ],
  ['a bundle of nine levels', 'Bundle', bundleOf(9), 'ERR_PACKET_TOO_LARGE'],
  ['a bundle of 5000 levels', 'Bundle', bundleOf(5000), 'ERR_PACKET_TOO_LARGE'],
  [
    'a bundle of 10 001 packets',
    'Bundle',
    bundle(...Array<[number, Buffer]>(10_001).fill([idOf('Refresh'), Buffer.alloc(0)])),
    'ERR_PACKET_TOO_LARGE',
  ],
]

const call = frame(CALL, 1, idOf('Refresh'))
const schema = (...parts: Parameters<typeof frame>) => frame(SCHEMA, idOf('Num'), ...parts)

/** What breaks the protocol, behind a HELLO. `'message'`: only where there are messages; on a stream it is the start of more. */
export const BREACHES: readonly [what: string, message: Uint8Array, where?: 'message'][] = [
  ['an empty message', Buffer.alloc(0), 'message'],
  ['a frame beyond the message', Buffer.from([5, POST, idOf('Num')]), 'message'],
  ['an empty frame', Buffer.from([0])],
  ['a frame of 2 GiB', Buffer.from('ffffffff07', 'hex')],
  ['a frame just over the limit', Buffer.concat([varuint(1024 * 1024 + 33), Buffer.alloc(8)])],
  ['an overlong length', Buffer.from([0x82, 0, POST, idOf('Refresh')])],
  ['a frame that only has its kind', frame(POST)],
  ['a kind that is none', frame(7)],
  ['a second HELLO', hello(THEIRS)],
  ['the id 0', frame(POST, 0)],
  ['an id that it has not', frame(POST, Object.keys(THEIRS).length + 1)],
  ['a number beyond 2^31', frame(CANCEL, 'ffffffff0f')],
  ['an answer to a call that was never made', frame(RESULT, 1)],
  ['an error for one', frame(ERROR, 1, packed({ code: 1 }))],
  ['an answer to the call 0', frame(RESULT, 0)],
  ['the call 0', frame(CALL, 0, idOf('Refresh'))],
  ['a call twice', Buffer.concat([call, call])],
  ['a call out of its order', frame(CALL, 2, idOf('Refresh'))],
  ['CANCEL and more', frame(CANCEL, 1, 1)],
  ['a schema of an id that it has not', frame(SCHEMA, 99, text('{"data":"bool"}'))],
  ['a schema that is none', schema(text('{"data":"nope"}'))],
  ['a schema that is no JSON', schema(text('{"data"'))],
  ['a schema of another fingerprint', schema(text('{"data":"bool"}'))],
  ['a schema and more', schema(text(THEIRS.Num!), 0)],
  ['a schema over 16 KiB', schema(text(' '.repeat(16 * 1024)))],
  ['a schema twice', Buffer.concat([schema(text(THEIRS.Num!)), schema(text(THEIRS.Num!))])],
]

const noFingerprint = Buffer.alloc(8)
const many = Array.from({ length: 4097 }, (_, i) => Buffer.concat([text(`n${10_000 + i}`), noFingerprint]))

/** What breaks the protocol as the first thing that is said. */
export const BEGINNINGS: readonly [what: string, message: Uint8Array, where?: 'message'][] = [
  ['a packet', frame(POST, idOf('Num'), 1)],
  ['an answer', frame(RESULT, 1)],
  ['a schema', schema(text(THEIRS.Num!))],
  ['HELLO of another version', frame(HELLO, 2, 0)],
  ['HELLO with 2^31 names', frame(HELLO, 1, 'ffffffff07')],
  ['HELLO with 4097 names', frame(HELLO, 1, varuint(4097), ...many)],
  ['HELLO that is cut off', hello(THEIRS).subarray(0, -1), 'message'],
  ['HELLO with a cut name', frame(HELLO, 1, 1, 9, '4142')],
  ['HELLO with a name of 2 GiB', frame(HELLO, 1, 1, 'ffffffff07')],
  [
    'HELLO with names out of their order',
    frame(HELLO, 1, 2, text('B'), noFingerprint, text('A'), noFingerprint),
  ],
  ['HELLO with a name twice', frame(HELLO, 1, 2, text('A'), noFingerprint, text('A'), noFingerprint)],
  ['HELLO with a name that is no text', frame(HELLO, 1, 1, 1, 'ff', noFingerprint)],
  ['HELLO and more', frame(HELLO, 1, 0, 0)],
]
