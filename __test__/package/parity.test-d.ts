// Compile-only: index.d.ts is written by hand, and lib/ must fit it.
import type * as promised from '../../index'
import type * as lib from '../../lib/index'
import type * as libTesting from '../../lib/testing/index'
import type * as promisedTesting from '../../testing'

// Classes become what their instances are, also those that only selvedge constructs.
type Instance<T> = T extends (...a: never) => unknown ? T : T extends { readonly prototype: infer I } ? I : T
type Instances<M> = { [K in keyof M]: Instance<M[K]> }

declare const implemented: Instances<typeof lib>
implemented satisfies Instances<typeof promised>

// The other way round: nothing is exported that is not promised.
declare const names: keyof typeof lib
names satisfies keyof typeof promised

declare const testing: Instances<typeof libTesting>
testing satisfies Instances<typeof promisedTesting>
declare const testingNames: keyof typeof libTesting
testingNames satisfies keyof typeof promisedTesting
