// Types that nothing here can say better.

/** A value whose type a schema or the program's handlers decide: their contract has type parameters, this has none. */
// biome-ignore lint/suspicious/noExplicitAny: the contract's type parameters say it
export type Agreed = any

/** What objects of other packages take and pass on: nothing else fits the types of all of them. */
// biome-ignore lint/suspicious/noExplicitAny: the types of other packages, in all their versions
export type Foreign = any
