// Compile-only: index.d.ts is written by hand, and lib/ must fit it.
import type * as promised from '../index'
import type * as lib from '../lib/index'

// Classes become what their instances are, also those that only selvedge constructs.
type Instance<T> = T extends (...a: never) => unknown ? T : T extends { readonly prototype: infer I } ? I : T
type Instances<M> = { [K in keyof M]: Instance<M[K]> }

declare const implemented: Instances<typeof lib>
implemented satisfies Instances<typeof promised>

// The other way round: nothing is exported that is not promised.
declare const names: keyof typeof lib
names satisfies keyof typeof promised
