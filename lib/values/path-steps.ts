// Paths of places in values, as error texts have them: `a[0]["b c"]`.

/** Returns the step from an object or a list to what it has by this key. */
export function step(container: object, key: string): string {
  if (Array.isArray(container)) return `[${key}]`
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 100))}]`
}
