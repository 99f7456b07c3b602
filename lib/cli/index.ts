#!/usr/bin/env node
// The entry of the command `selvedge`.
import { EXIT } from './failure'
import { exitWith, watchOutput } from './output'
import { run } from './program'

watchOutput()
// Of a command that waits for something that never comes: nothing keeps the process alive then, and it has not ended.
process.exitCode = EXIT.failed
void run(process.argv.slice(2)).then(code => {
  process.exitCode = code
  // What was written last may fail later than the command ends.
  process.once('exit', () => {
    process.exitCode = exitWith(code)
  })
  // Stdin keeps the process alive where a terminal never ends it; everything else has been closed.
  process.stdin.unref?.()
  if (process.stdin.isTTY === true) process.stdin.pause()
})
