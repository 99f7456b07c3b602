// A typed service of the newer dialect: it announces itself at the broker, and calls go there first; a broker that knows
// of no service for a call is passed by with a plain request.
import type { Client } from '../peers/client'
import { call, type Implementation, serve } from '../peers/service'

interface Answer {
  error?: string
  code?: number
}

/** Events that a broker answered with an error that nobody expects end the process, as they do there. */
async function ask(client: Client, event: string, argument: object): Promise<Answer> {
  return await client.io.timeout(10_000).emitWithAck(event, argument)
}

export async function announce(
  client: Client,
  subject: string,
  implementation: Implementation,
): Promise<() => Promise<void>> {
  await serve(client, subject, implementation)
  const { error } = await ask(client, 'rpc-service', { subject, service: subject })
  if (error) throw Error(`the broker takes no service: ${error}`)
  return async () => {
    await ask(client, 'rpc-service-close', { subject, service: subject })
  }
}

export async function fastCall(
  client: Client,
  subject: string,
  name: string,
  args: unknown[],
  told: string[] = [],
): Promise<unknown> {
  for (const event of ['fast-rpc', 'rpc', 'rpc-raw']) {
    const answer = await ask(client, event, { subject, name, args })
    if (!answer.error?.includes('no services matching')) throw Error(`unexpected: ${JSON.stringify(answer)}`)
    told.push(event)
  }
  return await call(client, subject, name, args)
}
