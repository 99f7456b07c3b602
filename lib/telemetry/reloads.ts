// Reloads of files that have failed in this process.

let failures = 0

export function countReloadFailure(): void {
  failures += 1
}

export function reloadFailures(): number {
  return failures
}
