// What a subcommand is to listen on.
import { isValidSubject, isValidSubjectWithoutWildcards } from '../index'
import { UsageError } from './failure'

/** Refuses a pattern that the library takes, with a warning: a command that hears nothing is of no use. */
export function checkReachable(pattern: string): void {
  // Wildcards that are a whole token stand for any; with them replaced it must be a subject to publish to.
  const some = pattern.replace(/(?<=^|\.)[*>](?=\.|$)/g, 'x')
  if (!isValidSubject(pattern) || isValidSubjectWithoutWildcards(some)) return
  throw new UsageError(
    `nothing reaches '${pattern}': '*' and '>' are wildcards only as a whole token ('jobs.*', 'jobs.>')`,
  )
}
