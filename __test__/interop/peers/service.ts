// Services and calls of the original's kind: a request with `[name, args]`; what is thrown travels in the headers of the answer.
import { type Client, FabricFailure, type Message, type SendOptions } from './client'

export type Implementation = Record<string, (this: Message, ...args: any[]) => unknown>

export async function serve(client: Client, subject: string, implementation: Implementation): Promise<void> {
  const answer = async (message: Message) => {
    const [name, args] = message.data
    try {
      if (implementation[name] === undefined) throw Error(`${name} not defined`)
      await message.respond(await implementation[name].apply(message, args))
    } catch (error: any) {
      await message.respond(null, { headers: { error: `${error}`, code: error.code } })
    }
  }
  await client.subscribe(subject, message => void answer(message).catch(() => {}), '0').confirmed
}

export async function call(
  client: Client,
  subject: string,
  name: string,
  args: unknown[],
  options?: SendOptions,
): Promise<unknown> {
  const answer = await client.request(subject, [name, args], options)
  const { error, code } = answer.headers ?? {}
  if (error) throw new FabricFailure(String(error), code as number)
  return answer.data
}
