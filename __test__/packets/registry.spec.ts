// Packet classes and registries: names, ids, hydration, bytes; the bytes are those of flecks.

import {
  Bundle,
  compileSchema,
  Packer,
  Packet,
  type PacketInstance,
  PacketRegistry,
  packed,
  Redirect,
} from 'selvedge/packets'
import { memoryFabric } from 'selvedge/testing'
import { hex, outcome } from './codecs'

class Action extends Packer()(Packet) {}
class Slap extends Packet {}
class Pos extends Packet({ id: 'uint32', x: 'float32', y: 'float32', name: 'string' }) {}
class Echo extends Packer()(Packet) {}
class Val extends Packet({ n: 'uint8' }) {}

const SET = { type: 'SET', payload: 20 }
const ADD_23 = { type: 'ADD', payload: 23 }
const ADD_26 = { type: 'ADD', payload: 26 }

test('ids are the places of the sorted names, and the defaults are among them', () => {
  const registry = new PacketRegistry({ Slap, Action })
  expect(registry.names).toEqual(['Action', 'Bundle', 'Redirect', 'Refresh', 'Slap'])
  expect(registry.get('Slap')).toBe(Slap)
  expect(registry.get('Bundle')).toBe(Bundle)
  expect([registry.get('slap'), registry.get('constructor'), registry.get('__proto__')]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  expect(new PacketRegistry({ Slap }, { defaults: false }).names).toEqual(['Slap'])
  expect(new PacketRegistry({ Redirect: Slap }).get('Redirect')).toBe(Slap)
})

test('the hash is of all names and schemas, and of nothing else', () => {
  const hash = (packets: object) => new PacketRegistry(packets as never).hash
  class Same extends Packet {}
  expect(hash({ Slap })).toBe(hash({ Slap: Same }))
  const all = [
    { Slap },
    { Slip: Slap },
    { Slap: Val },
    { Slap, Val },
    { Slap: Packet({}, { result: 'bool' }) },
  ]
  expect(new Set(all.map(hash)).size).toBe(all.length)
  expect(hash({ Slap })).toMatch(/^[0-9a-f]{16}$/)
})

test('hydration makes an instance of a name and data, and takes instances as they are', () => {
  const registry = new PacketRegistry({ Slap, Pos })
  const slap = registry.hydrate(['Slap'])
  expect(slap).toBeInstanceOf(Slap)
  expect(slap.data).toEqual({})
  const data = { id: 1, x: 0, y: 0, name: '' }
  expect(registry.hydrate(['Pos', data]).data).toBe(data)
  const instance = new Pos(data)
  expect(registry.hydrate(instance)).toBe(instance)
})

test.each([
  ['a name that is none', ['Nope']],
  ['a name that every object has', ['constructor', 5]],
  ['an id', [1, {}]],
  ['no name', []],
  ['an instance of a class that is not there', new Val({ n: 1 })],
  ['a string', 'Slap'],
  ['null', null],
  ['undefined', undefined],
  ['an object', {}],
  ['an object without a prototype', Object.create(null)],
])('%s is unknown', (_, packet) => {
  const registry = new PacketRegistry({ Slap })
  expect(outcome(() => registry.hydrate(packet as never)).code).toBe('ERR_PACKET_UNKNOWN')
  expect(outcome(() => registry.encode(packet as never)).code).toBe('ERR_PACKET_UNKNOWN')
})

test.each([
  ['no class', { X: {} }],
  ['another class', { X: Map }],
  [
    'no schema',
    {
      X: class extends Packet {
        static override get data() {
          return 'uint7' as never
        }
      },
    },
  ],
  [
    'a result that is none',
    {
      X: class extends Packet {
        static override result = ['flot'] as never
      },
    },
  ],
  ['one class twice', { X: Slap, Y: Slap }],
  ['a name that is no text', { '\ud800': Slap }],
])('a registry refuses %s', (_, packets) => {
  expect(outcome(() => new PacketRegistry(packets as never)).code).toBe('ERR_PACKET_SCHEMA')
})

test('a schema is checked where it is said', () => {
  expect(outcome(() => Packet({ a: 'uint7' as 'uint8' }))).toMatchObject({
    code: 'ERR_PACKET_SCHEMA',
    path: 'a',
  })
  expect(outcome(() => Packet({}, { reslt: 'bool' } as never)).code).toBe('ERR_UNKNOWN_OPTION')
})

describe('the bytes of flecks', () => {
  const registry = new PacketRegistry({ Slap, Pos, Echo, Val })
  test.each([
    [['Slap'], ''],
    [['Pos', { id: 1234567, x: 1.5, y: -2.25, name: 'alice' }], '0012d68705616c6963653fc00000c0100000'],
    [['Redirect', '/'], '012f'],
    [['Echo', { foo: 'bar' }], '0981a3666f6fa3626172'],
    [['Refresh'], ''],
    [['Bundle', []], '00'],
  ])('%j', (packet, bytes) => {
    expect(hex(registry.encode(packet as never))).toBe(bytes)
    const decoded = registry.decode(packet[0] as 'Slap', Buffer.from(bytes, 'hex'))
    expect(decoded.data).toEqual(packet[1] ?? {})
  })

  test('bundles of bundles', () => {
    const registry = new PacketRegistry({ Action })
    const inner = [
      'Bundle',
      [
        ['Action', ADD_23],
        ['Action', ADD_26],
      ],
    ]
    const packet = ['Bundle', [['Action', SET], inner]]
    const bytes = registry.encode(packet as never)
    expect(hex(bytes)).toBe(
      [
        '55',
        '14000000' + '0100' + '1382a474797065a3534554a77061796c6f616414',
        '35000000' + '0200' + '34',
        '14000000' + '0100' + '1382a474797065a3414444a77061796c6f616417',
        '14000000' + '0100' + '1382a474797065a3414444a77061796c6f61641a',
      ].join(''),
    )
    const [set, bundle] = registry.decode('Bundle', bytes).data as PacketInstance[]
    expect([set, set!.data]).toEqual([expect.any(Action), SET])
    expect((bundle!.data as PacketInstance[]).map(each => each.data)).toEqual([ADD_23, ADD_26])
  })

  test('a bundle takes instances, and one empty packet is six zeros and an id', () => {
    const registry = new PacketRegistry({ A: Action, B: Val, C: Pos, D: Echo, Slap })
    expect(hex(registry.encode(['Bundle', [new Slap()]]))).toBe('06000000000800')
  })
})

describe('Packer', () => {
  const document = { whatever: 'you', want: 42 }
  const bytes = '1482a87768617465766572a3796f75a477616e742a0012d687'

  test.each([
    ['over a class with data', class extends Packer('document')(Packet({ id: 'uint32' })) {}],
    [
      'under a class with data of its own',
      class extends Packer('document')(Packet) {
        static override get data() {
          return { id: 'uint32' } as const
        }
      },
    ],
    ['as an option', Packet({ id: 'uint32' }, { pack: 'document' })],
    ['as a type', Packet({ id: 'uint32', document: packed() })],
    ['over a key that is bytes', Packer('document')(Packet({ id: 'uint32', document: 'buffer' }))],
  ])('%s packs a key', (_, Upload) => {
    const registry = new PacketRegistry({ Upload })
    const data = { document, id: 1234567 }
    expect(hex(registry.encode(['Upload', data]))).toBe(bytes)
    expect(hex(registry.encode(['Upload', data]))).toBe(bytes)
    expect(data).toEqual({ document: { whatever: 'you', want: 42 }, id: 1234567 })
    expect(registry.decode('Upload', Buffer.from(bytes, 'hex')).data).toEqual(data)
    expect(hex(Upload.encode(data))).toBe(bytes)
    expect(Upload.decode(Buffer.from(bytes, 'hex'))).toEqual(data)
  })

  test('composes, and each key is unpacked', () => {
    class Two extends Packer('a')(Packer('b')(Packet)) {}
    const registry = new PacketRegistry({ Two })
    const encoded = registry.encode(['Two', { a: { x: 1 }, b: [1] }])
    expect(hex(encoded)).toBe('0481a17801029101')
    expect(registry.decode('Two', encoded).data).toEqual({ a: { x: 1 }, b: [1] })
  })

  test('refuses a key that has another type, and data that has no keys', () => {
    const odd = [Packer('id')(Packet({ id: 'uint32' })), Packer('id')(Packet('string'))]
    for (const Odd of odd) {
      expect(outcome(() => new PacketRegistry({ Odd })).code).toBe('ERR_PACKET_SCHEMA')
    }
  })
})

test('a class has its own codec, whatever the class above has done', () => {
  class Above extends Packet({ a: 'uint8' }) {}
  Above.encode({ a: 1 })
  class Below extends Above {
    static override get data() {
      return { a: 'uint8', b: 'uint8' } as never
    }
  }
  expect(hex(Below.encode({ a: 1, b: 2 } as never))).toBe('0102')
})

test('a class may encode in its own way', () => {
  class Reversed extends Packet('string') {
    static override encode(text: string) {
      return Buffer.from([...text].reverse().join(''))
    }
    static override decode(bytes: Uint8Array) {
      return [...Buffer.from(bytes).toString()].reverse().join('')
    }
  }
  const registry = new PacketRegistry({ Reversed })
  expect(hex(registry.encode(['Reversed', 'abc']))).toBe('636261')
  expect(registry.decode('Reversed', Buffer.from('cba')).data).toBe('abc')
})

test('errors name the packet and the place, also inside of bundles', () => {
  const registry = new PacketRegistry({ Pos, Val })
  expect(outcome(() => registry.encode(['Val', { n: 300 }]))).toMatchObject({
    code: 'ERR_PACKET_ENCODE',
    path: 'n',
    message: 'Val: n: uint8 is a number from 0 to 255, got 300',
  })
  const bad = [
    'Bundle',
    [
      ['Val', { n: 1 }],
      ['Bundle', [['Val', { n: 'x' }]]],
    ],
  ] as never
  expect(outcome(() => registry.encode(bad))).toMatchObject({ code: 'ERR_PACKET_ENCODE', path: '[1][0].n' })
  const malformed = registry.encode(['Bundle', [['Bundle', [['Val', { n: 1 }]]]]]).slice(0, -1)
  expect(outcome(() => registry.decode('Bundle', malformed)).code).toBe('ERR_PACKET_MALFORMED')
})

describe('a bundle', () => {
  const registry = new PacketRegistry({ Slap, Val, Pos, Echo })
  const deep = (levels: number): never => (levels === 0 ? ['Slap'] : ['Bundle', [deep(levels - 1)]]) as never
  /** Levels as bytes, without the limits of encoding. */
  const raw = (levels: number): Buffer => {
    let body = Buffer.from('00', 'hex')
    for (let i = 1; i < levels; i++) {
      const head = Buffer.alloc(6)
      head.writeUInt32LE(body.length)
      head.writeUInt16LE(1, 4)
      const length = head.length + body.length
      const prefix = length < 128 ? [length] : [(length & 127) | 128, length >> 7]
      if (length >= 1 << 14) prefix.splice(1, 1, ((length >> 7) & 127) | 128, length >> 14)
      body = Buffer.concat([Buffer.from(prefix), head, body])
    }
    return body
  }

  test('has at most 8 levels and 10 000 packets', () => {
    expect(registry.decode('Bundle', registry.encode(deep(8))).data).toHaveLength(1)
    expect(outcome(() => registry.encode(deep(9))).code).toBe('ERR_PACKET_TOO_LARGE')
    expect(outcome(() => registry.decode('Bundle', raw(9))).code).toBe('ERR_PACKET_TOO_LARGE')
    const many = (count: number) => ['Bundle', Array(count).fill(['Slap'])] as never
    const bytes = Buffer.from(registry.encode(many(10_000)))
    expect(registry.decode('Bundle', bytes).data).toHaveLength(10_000)
    expect(outcome(() => registry.encode(many(10_001))).code).toBe('ERR_PACKET_TOO_LARGE')
    const [lax, strict] = [100, 99].map(
      bundlePackets => new PacketRegistry({ Slap }, { limits: { bundlePackets } }),
    )
    expect(outcome(() => strict!.decode('Bundle', lax!.encode(many(100)))).code).toBe('ERR_PACKET_TOO_LARGE')
  })

  test('of 5000 levels is refused before it is looked into', () => {
    expect(outcome(() => registry.decode('Bundle', raw(5000))).code).toBe('ERR_PACKET_TOO_LARGE')
  })

  test.each([
    ['a cut head', '0301000000'.slice(0, 8)],
    ['an id that is nobody s', '06000000006300'],
    ['the id 0', '06000000000000'],
    ['a length beyond the end', '06ffff00000800'],
    ['a length of 4 GiB', '06ffffffff0800'],
    ['a length that is not its own', '7f'],
    ['bytes behind it', '0000'],
    ['nothing', ''],
  ])('with %s is malformed', (_, bytes) => {
    expect(outcome(() => registry.decode('Bundle', Buffer.from(bytes, 'hex'))).code).toBe(
      'ERR_PACKET_MALFORMED',
    )
  })
})

describe('an envelope', () => {
  test('is a fingerprint and a body, and finds its packet in other registries', () => {
    const [left, right] = [
      new PacketRegistry({ Val }),
      new PacketRegistry({ Val: Packet({ n: 'uint8' }), Slap }),
    ]
    const bytes = left.pack(['Val', { n: 7 }])
    expect(bytes.length).toBe(9)
    expect(right.unpack(bytes).data).toEqual({ n: 7 })
    expect(outcome(() => new PacketRegistry({ Slap }).unpack(bytes)).code).toBe('ERR_PACKET_UNKNOWN')
    expect(outcome(() => left.unpack(bytes.subarray(0, 7))).code).toBe('ERR_PACKET_MALFORMED')
    expect(outcome(() => left.unpack(bytes.subarray(0, 8)))).toMatchObject({ code: 'ERR_PACKET_MALFORMED' })
  })

  test('of a bundle is only for who has the same registry: its ids are', () => {
    const [left, same, other] = [{ Val }, { Val: Packet({ n: 'uint8' }) }, { Val, Slap }].map(
      each => new PacketRegistry(each as { Val: typeof Val }),
    )
    const bytes = left!.pack(['Bundle', [['Val', { n: 7 }]]])
    expect((same!.unpack(bytes).data as PacketInstance[])[0]!.data).toEqual({ n: 7 })
    expect(outcome(() => other!.unpack(bytes)).code).toBe('ERR_PACKET_UNKNOWN')
  })
})

test('published packets arrive as packets, and what is none is passed over and counted', async () => {
  const fabric = memoryFabric()
  const client = fabric.client()
  const registry = new PacketRegistry({ Val })
  const other = new PacketRegistry({ Slap })
  const subscription = await registry.subscribe(client, 'moves.*')
  await client.publish('moves.1', 'text')
  await client.publish('moves.1', Buffer.from('too short'))
  await other.publish(client, 'moves.1', ['Slap'])
  await registry.publish(client, 'moves.7', ['Val', { n: 3 }], { headers: { from: 'here' } })
  const { value } = await subscription.next()
  expect(value).toMatchObject({ subject: 'moves.7', headers: { from: 'here' }, packet: { data: { n: 3 } } })
  expect(value!.packet).toBeInstanceOf(Val)
  expect(subscription.rejected).toBe(3)
  subscription.close()
  expect(await subscription.next()).toEqual({ value: undefined, done: true })
  await fabric.close()
})

test('a codec of the whole schema and a packet of it have the same bytes', () => {
  const schema = { id: 'uint32', 'why?': 'string' } as const
  const value = { id: 1, why: 'x' }
  expect(hex(compileSchema(schema).encode(value))).toBe(hex(Packet(schema).encode(value)))
  expect(Redirect.direction).toBe('toClient')
})
