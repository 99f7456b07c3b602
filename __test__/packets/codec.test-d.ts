// Compile-only: what TypeScript makes of a schema.
import { type Codec, compileSchema, type DataOf, packed, type Schema } from 'selvedge/packets'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function same<A, B>(is: Same<A, B>): void

interface Doc {
  title: string
}

same<DataOf<'uint32'>, number>(true)
same<DataOf<'boolean'>, boolean>(true)
same<DataOf<'string'>, string>(true)
same<DataOf<'buffer'>, Uint8Array>(true)
same<DataOf<'packed'>, any>(true)
same<DataOf<{ id: 'uint32'; 'why?': 'string' }>, { id: number; why?: string }>(true)
same<DataOf<readonly ['uint8']>, number[]>(true)
same<DataOf<readonly ['string', 'uint8']>, [string, ...number[]]>(true)
same<DataOf<readonly [{ x: 'int8' }]>, { x: number }[]>(true)
same<DataOf<readonly [readonly ['bool']]>, boolean[][]>(true)
same<DataOf<{}>, {}>(true)
same<DataOf<{ a: { b?: never; 'c?': readonly ['bool'] } }>['a']['c'], boolean[] | undefined>(true)

// Literals need no `as const`.
const codec = compileSchema({
  id: 'uint32',
  at: ['float32'],
  'why?': 'string',
  tail: ['string', 'bool'],
  doc: packed<Doc>(),
})
codec satisfies Codec<any>
const value = codec.decode(new Uint8Array())
same<typeof value, { id: number; at: number[]; why?: string; tail: [string, ...boolean[]]; doc: Doc }>(true)
codec.encode({ id: 1, at: [], tail: ['x'], doc: { title: '' } })
codec.encode({ id: 1, at: [], why: 'x', tail: ['x', true], doc: { title: '' } })
// @ts-expect-error a key is missing
codec.encode({ at: [], tail: ['x'], doc: { title: '' } })
// @ts-expect-error the type of a key is another
codec.encode({ id: '1', at: [], tail: ['x'], doc: { title: '' } })
// @ts-expect-error the first of `tail` is required
codec.encode({ id: 1, at: [], tail: [], doc: { title: '' } })
// @ts-expect-error no document
codec.encode({ id: 1, at: [], tail: ['x'], doc: { name: '' } })
// @ts-expect-error there is no such type
compileSchema({ id: 'uint64' })
// @ts-expect-error a number is no schema
compileSchema({ id: 7 })
// @ts-expect-error there is no such option
compileSchema('bool', { buffer: 'view' })

const unknown: Schema = JSON.parse('"bool"')
compileSchema(unknown)
