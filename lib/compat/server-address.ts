// Where a broker listens: a URL, as programs for Conat use it, with the parts that `net.Server` tells.

interface Parts {
  address: string
  family: string
  port: number
}

/** Addresses that stand for every one of the machine: clients connect to this machine's own. */
const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

export class ServerAddress extends String {
  readonly address: string
  readonly family: string
  readonly port: number

  constructor({ address, family, port }: Parts, isSecure: boolean) {
    super(urlOf(address, family, port, isSecure))
    this.address = address
    this.family = family
    this.port = port
  }
}

function urlOf(address: string, family: string, port: number, isSecure: boolean): string {
  if (family === 'Unix') return `unix:${address}`
  const host = ANY.has(address) ? 'localhost' : family === 'IPv6' ? `[${address}]` : address
  return `${isSecure ? 'https' : 'http'}://${host}:${port}`
}
