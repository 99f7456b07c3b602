/**
 * How long, in milliseconds, an honest neighbour may wait in a test of hostile peers. Those tests look for stalls of
 * seconds: a machine that is slow, or busy with other tests, delays people by one second as well. What an attack costs
 * on a calm machine is in the tables of SECURITY.md.
 */
export const STALL_MS = 4000
