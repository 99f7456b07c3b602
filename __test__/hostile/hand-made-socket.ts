// One end of a socket that speaks the stream, by hand: what it says of large messages is up to the test.
import { type Stranger, varint } from './stranger'

const [BIG, MORE, STATUS] = [0x89, 0x8a, 0xc0]
const [ASKS, WANTS] = [1, 16]
const WINDOWS = [10_000, 16_777_216, 1000, 16_777_216, 10_000, 16_777_216]

let tags = 1000

export class HandMadeSocket {
  #seq = 1

  private constructor(
    readonly id: string,
    private readonly stranger: Stranger,
    private readonly subject: string,
    private readonly tag: number,
  ) {}

  /** Sockets of a listener. */
  static async attach(
    stranger: Stranger,
    subject: string,
    server: string,
    ids: readonly string[],
  ): Promise<HandMadeSocket[]> {
    const asked = ids.map(id => ({ id, subject: `${subject}.server.${server}.${id}`, tag: ++tags }))
    await stranger.subscribe(ids.map(id => `${subject}.client.${id}`))
    for (const { id, subject, tag } of asked) {
      const headers = { id, stream: { v: 1, tag, window: WINDOWS, first: 4096 } }
      stranger.raw.say(stranger.message({ subject, command: 'connect', attempt: 1, headers }))
    }
    const sockets: HandMadeSocket[] = []
    for (const { id, subject, tag } of asked) {
      const answer = new RegExp(`"tag":(\\d+),[^}]*"for":${tag}[,}]`)
      if (!(await stranger.raw.hears(`"for":${tag}}`))) throw Error(`no answer to ${id}`)
      const [, own] = answer.exec(stranger.raw.heard.toString('latin1'))!
      sockets.push(new HandMadeSocket(id, stranger, subject, Number(own)))
    }
    return sockets
  }

  /** Says that a message of so many bytes comes, with the first ten of them; and waits until it may go on, if it is to be told. */
  async begin(total: number, isAdmitted = true): Promise<void> {
    const payload = Buffer.concat([varint(total), varint(0), Buffer.from([0]), Buffer.alloc(10)])
    this.#say(BIG, payload)
    this.#seq += 1
    if (isAdmitted && !(await this.hasCredit())) throw Error('no credit')
  }

  /** Whether the message that its first one has begun may go on. */
  hasCredit(): Promise<boolean> {
    return this.stranger.raw.hears(Buffer.from([32, 1, 0, 0, 0]))
  }

  /** Says this under a number of its own. */
  say(encoding: number, payload: Buffer, seq: number): void {
    const { subject, tag } = this
    this.stranger.raw.say(this.stranger.message({ subject, seq, attempt: tag, encoding, payload }))
  }

  /** Sends the next bytes of it. */
  go(bytes: number): void {
    this.#say(MORE, Buffer.alloc(bytes, 1))
    this.#seq += 1
  }

  /** Says that it waits for credit up to here, and wants to be answered. */
  want(offset: number): void {
    this.#say(STATUS, Buffer.concat([ASKS | WANTS, 0, 0, 0, 0, offset].map(varint)))
  }

  #say(encoding: number, payload: Buffer): void {
    this.say(encoding, payload, this.#seq)
  }
}
