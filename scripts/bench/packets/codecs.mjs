// The codecs that are compared: `{kind: {encode(value), decode(bytes)}}` each.
import { createRequire } from 'node:module'
import * as msgpack from '@msgpack/msgpack'
import avro from 'avsc'
import { Packr } from 'msgpackr'
import protobuf from 'protobufjs'
import { compileSchema } from 'selvedge/packets'

const require = createRequire(import.meta.url)
const schemapack = require('schemapack')
const msgpackLite = require('msgpack-lite')

const schemas = {
  move: { id: 'uint32', x: 'float32', y: 'float32', name: 'string' },
  chat: { room: 'string', from: 'string', text: 'string', at: 'float64', tags: ['string'] },
  snap: { tick: 'varuint', units: [{ id: 'uint16', x: 'float32', y: 'float32', hp: 'uint8' }] },
}
const each = make => Object.fromEntries(Object.keys(schemas).map(kind => [kind, make(kind)]))
const copy = schema => JSON.parse(JSON.stringify(schema))

const protos = protobuf.parse(`
  syntax = "proto3";
  message move { uint32 id = 1; float x = 2; float y = 3; string name = 4; }
  message chat { string room = 1; string from = 2; string text = 3; double at = 4; repeated string tags = 5; }
  message unit { uint32 id = 1; float x = 2; float y = 3; uint32 hp = 4; }
  message snap { uint32 tick = 1; repeated unit units = 2; }
`).root

const field = (name, type) => ({ name, type })
const avros = {
  move: [field('id', 'long'), field('x', 'float'), field('y', 'float'), field('name', 'string')],
  chat: [
    ...['room', 'from', 'text'].map(name => field(name, 'string')),
    field('at', 'double'),
    field('tags', { type: 'array', items: 'string' }),
  ],
  snap: [
    field('tick', 'int'),
    field('units', {
      type: 'array',
      items: {
        type: 'record',
        name: 'unit',
        fields: [field('id', 'int'), field('x', 'float'), field('y', 'float'), field('hp', 'int')],
      },
    }),
  ],
}

/** The same for all kinds: it has no schemas. */
const plain = codec => each(() => codec)

export const codecs = {
  'selvedge/packets': each(kind => compileSchema(schemas[kind])),
  schemapack: each(kind => schemapack.build(copy(schemas[kind]))),
  'schemapack, unchecked': each(kind => schemapack.build(copy(schemas[kind]), false)),
  protobufjs: each(kind => {
    const type = protos.lookupType(kind)
    return { encode: value => type.encode(value).finish(), decode: bytes => type.decode(bytes) }
  }),
  avsc: each(kind => {
    const type = avro.Type.forSchema({ type: 'record', name: kind, fields: avros[kind] })
    return { encode: value => type.toBuffer(value), decode: bytes => type.fromBuffer(bytes) }
  }),
  'msgpackr, records': each(() => {
    const packr = new Packr({ structures: [] })
    return { encode: value => packr.pack(value), decode: bytes => packr.unpack(bytes) }
  }),
  'msgpackr, plain': plain(new Packr({ useRecords: false })),
  '@msgpack/msgpack': plain({
    encode: value => msgpack.encode(value),
    decode: bytes => msgpack.decode(bytes),
  }),
  'msgpack-lite': plain({
    encode: value => msgpackLite.encode(value),
    decode: bytes => msgpackLite.decode(bytes),
  }),
  'JSON, Buffer': plain({
    encode: value => Buffer.from(JSON.stringify(value)),
    decode: bytes => JSON.parse(bytes.toString()),
  }),
}
