// The times of the certificates of a broker: one that has ended is used all the same, and clients refuse it.
import { X509Certificate } from 'node:crypto'
import type { ServerOptions } from '../../index'
import type { Terminal } from './terminal'

/** The files that certificates come from. */
export interface CertificateFiles {
  cert?: string
  ca?: string
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** Warns of each certificate that is not valid now: which file it is in, and when it is. */
export function warnOfTimes(
  { ssl }: ServerOptions,
  files: CertificateFiles | undefined,
  terminal: Terminal,
): void {
  if (typeof ssl !== 'object') return
  for (const name of ['cert', 'ca'] as const) {
    for (const [pem] of String(ssl[name] ?? '').matchAll(PEM)) {
      const text = timeFault(pem)
      if (text !== undefined) terminal.say(`selvedge: warning: ${files?.[name] ?? name}: ${text}`)
    }
  }
}

function timeFault(pem: string): string | undefined {
  const { validFrom, validTo, subject = '' } = new X509Certificate(pem)
  const named = `the certificate of ${subject.replaceAll('\n', ', ').replace(/\\(.)/g, '$1') || 'nobody'}`
  const now = Date.now()
  if (Date.parse(validTo) < now) return `${named} ended on ${validTo}`
  if (Date.parse(validFrom) > now) return `${named} begins on ${validFrom}, and ends on ${validTo}`
  return undefined
}
