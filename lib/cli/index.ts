#!/usr/bin/env node
// The entry of the command `selvedge`.
import { run } from './program'
import { endWithReader } from './terminal'

endWithReader()
void run(process.argv.slice(2)).then(code => {
  process.exitCode = code
  // Stdin keeps the process alive where a terminal never ends it; everything else has been closed.
  process.stdin.unref?.()
  if (process.stdin.isTTY === true) process.stdin.pause()
})
