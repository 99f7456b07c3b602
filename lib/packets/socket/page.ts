// What pages do by themselves when a server says so. Elsewhere it does nothing.

interface Page {
  readonly location?: { readonly href: string; assign(url: string): void; reload(): void }
  readonly document?: unknown
}

/** Only addresses that show something: no script, no data, no file. */
const PROTOCOLS = ['http:', 'https:']

/** Goes to an address. Returns whether it did. */
export function navigate(url: string, page = globalThis as unknown as Page): boolean {
  const { location, document } = page
  if (location === undefined || document === undefined) return false
  const target = parsed(url, location.href)
  if (target === undefined || !PROTOCOLS.includes(target.protocol)) return false
  location.assign(target.href)
  return true
}

export function reload(page = globalThis as unknown as Page): boolean {
  if (page.location === undefined || page.document === undefined) return false
  page.location.reload()
  return true
}

function parsed(url: string, base: string): URL | undefined {
  try {
    return new URL(url, base)
  } catch {
    return undefined
  }
}
