// Where in a value something is: `u[1].hp`, and empty for the root.

/** Returns a key as it stands in a path. */
export function keyPath(key: string, isFirst: boolean): string {
  if (!PLAIN.test(key)) return `[${JSON.stringify(key)}]`
  return isFirst ? key : `.${key}`
}

/** Returns the path of these keys and indices. */
export function pathOf(steps: readonly (string | number)[]): string {
  let path = ''
  for (const step of steps) path += typeof step === 'number' ? `[${step}]` : keyPath(step, path === '')
  return path
}

const PLAIN = /^[\p{L}_$][\p{L}\p{N}_$]*$/u
