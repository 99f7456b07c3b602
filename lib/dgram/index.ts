// The public names of `selvedge/dgram`. Their contract and documentation are in types/dgram.d.ts.
export { createSocket, over, Socket } from './surface'
