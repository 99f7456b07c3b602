// Datagrams on subjects: at most once, whole or not at all, never queued without bound. Each is one publish.
import { EventEmitter } from 'node:events'
import type { DatagramBindOptions, DatagramInfo, DatagramStats, SocketOptions } from '../../types/dgram'
import type { SocketRow } from '../../types/net'
import type { Client } from '../client/client'
import { isPendingOver } from '../engine/commands'
import type { Message } from '../messaging/message'
import { argType, argValue, coded, codedError, missingArgs, systemError } from '../net/errors'
import { checkSubject, clientOf, freeSubject } from '../net/options'
import { type Refusal, watchRefusals } from '../net/refusals'
import { stays } from '../net/second-look'
import { list, unlist } from '../net/table'
import { FabricError } from '../values/errors'
import { Buffer, nextTick } from '../values/platform'
import { isValidSubject } from '../values/subjects'
import { datagramOf, MAX_DATAGRAM_BYTES } from './datagram'
import { bufferSizeError, CODES, checkTtl, notRunning } from './errors'
import { Inlets } from './inlets'
import { BIND_SHAPE, BUFFER_BYTES, checkDatagramOptions, SOCKET_SHAPE, sizeOf } from './options'
import { type SendCall, sendArguments } from './send-arguments'
import { settle } from './settling'
import { Waiting } from './waiting'

const TYPES: readonly unknown[] = ['subject', 'udp4', 'udp6']
/** Places that sockets of this process are bound to, alone: clients and subjects. */
const bound = new Set<string>()
/** Sockets of one client that share a queue, which is one to the fabric: the first one passes on what comes. */
const groups = new Map<string, Socket[]>()

type MessageListener = (message: Buffer, info: DatagramInfo) => void

export class Socket extends EventEmitter {
  readonly type: string
  readonly #options: SocketOptions
  readonly #inlets: Inlets
  readonly #counts = { sent: 0, received: 0, sendDropped: 0, malformed: 0 }
  #client: Client | undefined
  #unwatch: (() => void) | undefined
  #state: 'new' | 'binding' | 'bound' | 'closed' = 'new'
  #subject: string | undefined
  #place = ''
  #isAlone = false
  #group: string | undefined
  #turn = 0
  #remote: string | undefined
  /** Whether that has been told. */
  #isConnected = false
  #hasLoopback = true
  #recvBufferSize: number
  #sendBufferSize: number
  /** Datagrams to itself that have not come. */
  #toItself = 0
  readonly #waiting = new Waiting()
  readonly #listed = { row: (): SocketRow | undefined => this.#row() }
  #bytes = { read: 0, written: 0 }
  #since = Date.now()

  constructor(type: string | SocketOptions, listener?: MessageListener) {
    super()
    const options = typeof type === 'string' ? { type } : type
    if (typeof options !== 'object' || options === null || !TYPES.includes(options.type)) {
      throw coded(
        new TypeError('Bad socket type specified. Valid types are: subject, udp4, udp6'),
        'ERR_SOCKET_BAD_TYPE',
      )
    }
    this.type = options.type
    this.#options = options as SocketOptions
    checkDatagramOptions(options, SOCKET_SHAPE)
    this.#recvBufferSize = this.#options.recvBufferSize || BUFFER_BYTES
    this.#sendBufferSize = this.#options.sendBufferSize || BUFFER_BYTES
    this.#inlets = new Inlets(this.#recvBufferSize, (...given) => this.#share(...given))
    if (typeof listener === 'function') this.on('message', listener)
    const { signal } = this.#options
    if (signal !== undefined) {
      const handleAbort = (): void => {
        if (this.#state !== 'closed') this.close()
      }
      if (signal.aborted) nextTick(handleAbort)
      else {
        signal.addEventListener('abort', handleAbort, { once: true })
        this.once('close', () => signal.removeEventListener('abort', handleAbort))
      }
    }
  }

  get stats(): DatagramStats {
    return { ...this.#counts, recvDropped: this.#inlets.dropped }
  }

  bind(...args: unknown[]): this {
    this.#checkOpen()
    if (this.#state !== 'new') throw codedError('ERR_SOCKET_ALREADY_BOUND', 'Socket is already bound')
    const last = args[args.length - 1]
    const [first] = typeof last === 'function' ? args.slice(0, -1) : args
    if (typeof last === 'function') this.once('listening', last as () => void)
    const options: DatagramBindOptions =
      typeof first === 'object' && first !== null ? first : { subject: first as string | undefined }
    checkDatagramOptions(options, BIND_SHAPE)
    const { subject, queue } = options
    this.#bind(subject || freeSubject('dgram'), queue)
    return this
  }

  send(...args: unknown[]): void {
    this.#checkOpen()
    const given = sendArguments(args, this.#remote !== undefined)
    const call = { ...given, subject: given.subject ?? this.#remote }
    if (this.#state === 'new') this.#bind(freeSubject('dgram'), undefined)
    if (call.bytes.length > MAX_DATAGRAM_BYTES) {
      const error = systemError('send', 'EMSGSIZE', call.subject)
      if (call.callback === undefined) nextTick(() => this.#state !== 'closed' && this.emit('error', error))
      else settle(call, error)
    } else if (call.subject === '') this.#refuse(call, systemError('send', 'EDESTADDRREQ'))
    else if (this.#state !== 'binding') this.#send(call)
    else if (!this.#waiting.add(call, this.#sendBufferSize)) this.#drop(call)
  }

  connect(subject: string, callback?: () => void): void {
    this.#checkOpen()
    checkSubject('subject', subject)
    if (this.#remote !== undefined) throw codedError('ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected')
    this.#remote = subject
    this.#isConnected = false
    if (callback !== undefined) this.once('connect', callback)
    const announce = (): void => {
      if (this.#remote !== subject || this.#state === 'closed') return
      this.#isConnected = true
      this.emit('connect')
    }
    if (this.#state === 'new') this.#bind(freeSubject('dgram'), undefined)
    if (this.#state === 'binding') this.once('listening', announce)
    else nextTick(announce)
  }

  disconnect(): void {
    this.#checkConnected()
    this.#remote = undefined
  }

  /** Drops what waits. */
  close(callback?: () => void): this {
    if (typeof callback === 'function') this.once('close', callback)
    this.#checkOpen()
    this.#state = 'closed'
    unlist(this.#listed)
    this.#inlets.close()
    this.#client?.off('closed', this.#handleClientClosed)
    this.#unwatch?.()
    if (this.#isAlone) bound.delete(this.#place)
    this.#leaveGroup()
    this.#giveUp(notRunning())
    nextTick(() => this.emit('close'))
    return this
  }

  addMembership(pattern: string): void {
    this.#checkOpen()
    if (!pattern) throw missingArgs('pattern')
    if (typeof pattern !== 'string') throw argType('pattern', 'of type string', pattern)
    if (!isValidSubject(pattern)) throw argValue('pattern', pattern)
    if (this.#state === 'new') this.#bind(freeSubject('dgram'), undefined)
    const opened = this.#inlets.open(this.#connection(), pattern, {}, true)
    opened.catch((error: FabricError) => this.#fail('addMembership', error, pattern))
  }

  dropMembership(pattern: string): void {
    this.#checkOpen()
    if (!pattern) throw missingArgs('pattern')
    if (!this.#inlets.drop(pattern)) throw systemError('dropMembership', 'EADDRNOTAVAIL', pattern)
  }

  address(): { address: string; family: 'subject'; port: number } {
    this.#checkOpen()
    if (this.#state !== 'bound') throw systemError('getsockname', 'EBADF')
    return { address: this.#subject as string, family: 'subject', port: 0 }
  }

  remoteAddress(): { address: string; family: 'subject'; port: number } {
    this.#checkOpen()
    this.#checkConnected()
    return { address: this.#remote as string, family: 'subject', port: 0 }
  }

  ref(): this {
    this.#inlets.ref()
    return this
  }

  unref(): this {
    this.#inlets.unref()
    return this
  }

  getRecvBufferSize(): number {
    this.#checkBound(() => bufferSizeError(true, 'EBADF'))
    return this.#recvBufferSize
  }

  setRecvBufferSize(size: number): void {
    const bytes = sizeOf(size, true)
    this.#checkBound(() => bufferSizeError(true, 'EBADF'))
    this.#recvBufferSize = bytes
    this.#inlets.setUnreadBytes(bytes)
  }

  getSendBufferSize(): number {
    this.#checkBound(() => bufferSizeError(false, 'EBADF'))
    return this.#sendBufferSize
  }

  setSendBufferSize(size: number): void {
    const bytes = sizeOf(size, false)
    this.#checkBound(() => bufferSizeError(false, 'EBADF'))
    this.#sendBufferSize = bytes
  }

  getSendQueueSize(): number {
    return this.#waiting.bytes
  }

  getSendQueueCount(): number {
    return this.#waiting.count
  }

  setMulticastLoopback(on: boolean): boolean {
    this.#checkBound(() => systemError('setMulticastLoopback', 'EBADF'))
    this.#hasLoopback = Boolean(on)
    return on
  }

  setBroadcast(_on: boolean): void {
    this.#checkBound(() => systemError('setBroadcast', 'EBADF'))
  }

  setTTL(ttl: number): number {
    this.#checkOpen()
    checkTtl('setTTL', ttl)
    this.#checkBound(() => systemError('setTTL', 'EBADF'))
    return ttl
  }

  setMulticastTTL(ttl: number): number {
    this.#checkOpen()
    checkTtl('setMulticastTTL', ttl)
    this.#checkBound(() => systemError('setMulticastTTL', 'EBADF'))
    return ttl
  }

  setMulticastInterface(name: string): void {
    this.#checkOpen()
    if (typeof name !== 'string') throw argType('interfaceAddress', 'of type string', name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'closed') await new Promise<void>(resolve => this.close(resolve))
  }

  #connection(): Client {
    return (this.#client ??= clientOf(this.#options))
  }

  #bind(subject: string, queue: string | undefined): void {
    this.#state = 'binding'
    this.#subject = subject
    const client = this.#connection()
    this.#since = Date.now()
    this.#place = `${client.client} ${subject}`
    client.once('closed', this.#handleClientClosed)
    this.#unwatch ??= watchRefusals(client, this.#handleRefusal)
    void (async () => {
      try {
        // Never inside the call.
        await Promise.resolve()
        const shares = this.#options.reuseAddr === true || queue !== undefined
        if (!shares && (bound.has(this.#place) || (await stays(() => client.interest(subject))))) {
          throw systemError('bind', 'EADDRINUSE', subject)
        }
        if (this.#state === 'closed') return
        if (!shares) {
          bound.add(this.#place)
          this.#isAlone = true
        }
        const settings = queue === undefined ? {} : { queue }
        if (queue !== undefined) this.#joinGroup(`${this.#place} ${queue}`)
        await this.#inlets.open(client, subject, settings, false)
        // Not in here: what a listener throws is no failure to bind, and an error that nobody expects is an uncaught one.
        nextTick(() => this.#handleBound())
      } catch (error) {
        nextTick(() => this.#handleBindFailure(error as FabricError, subject))
      }
    })()
  }

  #handleBound(): void {
    if ((this.#state as string) === 'closed') return
    this.#state = 'bound'
    list(this.#listed)
    this.emit('listening')
    for (const call of this.#waiting.take()) this.#send(call)
  }

  #handleBindFailure(error: FabricError, subject: string): void {
    if (this.#state === 'closed') return
    this.#state = 'new'
    if (this.#isAlone) bound.delete(this.#place)
    this.#leaveGroup()
    this.#isAlone = false
    this.#giveUp(error)
    this.#fail('bind', error, subject)
  }

  #fail(syscall: string, error: FabricError, subject: string): void {
    if (this.#state === 'closed') return
    const code = CODES.get(error.code)
    this.emit('error', code === undefined ? error : systemError(syscall, code, subject, error))
  }

  /** What waits for the bind is not sent. */
  #giveUp(error: Error): void {
    for (const call of this.#waiting.take()) {
      this.#counts.sendDropped += 1
      settle(call, error)
    }
  }

  #drop(call: SendCall): void {
    this.#counts.sendDropped += 1
    settle(call, systemError('send', 'ENOBUFS', call.subject))
  }

  /** It cannot go where it should. Strangers choose the address of an answer: an error that nobody expects is none. */
  #refuse(call: SendCall, error: Error): void {
    this.#counts.sendDropped += 1
    if (call.callback !== undefined) settle(call, error)
    else {
      nextTick(() => {
        if (this.#state !== 'closed' && this.listenerCount('error') > 0) this.emit('error', error)
      })
    }
  }

  #send(call: SendCall): void {
    const { bytes, subject } = call
    const client = this.#connection()
    if (client.state !== 'connected' || isPendingOver(this.#sendBufferSize)) {
      this.#drop(call)
      return
    }
    try {
      client.publishSync(subject as string, [this.#subject ?? '', bytes])
    } catch (cause) {
      const code = CODES.get((cause as FabricError).code) ?? 'ENOBUFS'
      const error = systemError('send', code, subject, cause)
      if (code === 'EACCES') this.#refuse(call, error)
      else {
        this.#counts.sendDropped += 1
        settle(call, error)
      }
      return
    }
    this.#counts.sent += 1
    if (subject === this.#subject) this.#toItself += 1
    this.#bytes.written += bytes.length
    settle(call, null, bytes.length)
  }

  #handleClientClosed = (): void => {
    if (this.#state !== 'closed') this.close()
  }

  /** What stood is over: of its own subject all of it, as a server is. */
  #handleRefusal = ({ subject, type, message }: Refusal): void => {
    const was = type === 'sub' ? this.#inlets.takeBack(subject) : undefined
    if (was === undefined) return
    const isOwn = was === 'own'
    const error = new FabricError(message, 403)
    // Not in here: an error that nobody expects is an uncaught one, and keeps nobody else from hearing.
    nextTick(() => {
      if (this.#state === 'closed') return
      if (isOwn) this.close()
      this.emit('error', systemError(isOwn ? 'bind' : 'addMembership', 'EACCES', subject, error))
    })
  }

  #joinGroup(name: string): void {
    this.#group = name
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [this])
    else group.push(this)
  }

  #leaveGroup(): void {
    const name = this.#group
    const left = name === undefined ? undefined : groups.get(name)?.filter(socket => socket !== this)
    this.#group = undefined
    if (name === undefined || left === undefined) return
    if (left.length === 0) groups.delete(name)
    else groups.set(name, left)
  }

  #share(message: Message, isMember: boolean): void {
    const group = isMember || this.#group === undefined ? undefined : groups.get(this.#group)
    if (group === undefined) this.#receive(message, isMember)
    else if (group[0] === this) {
      this.#turn += 1
      const next = group[this.#turn % group.length] as Socket
      next.#receive(message, false)
    }
  }

  #receive(received: Message, isMember: boolean): void {
    if (this.#state === 'closed') return
    const datagram = datagramOf(received)
    if (datagram === undefined || (!isMember && this.#isForged(datagram.from))) {
      this.#counts.malformed += 1
      return
    }
    const { from, bytes } = datagram
    const { subject } = received
    if (this.#remote !== undefined && from !== this.#remote) return
    if (isMember && !this.#hasLoopback && from === this.#subject) return
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#counts.received += 1
    this.#bytes.read += message.length
    this.emit('message', message, {
      address: from,
      subject,
      family: 'subject',
      port: 0,
      size: message.length,
    })
  }

  /** An answer to what only seems to be its own would come back for ever. */
  #isForged(from: string): boolean {
    if (!this.#isAlone || from !== this.#subject) return false
    if (this.#toItself === 0) return true
    this.#toItself -= 1
    return false
  }

  #checkConnected(): void {
    if (this.#remote === undefined || !this.#isConnected) {
      throw codedError('ERR_SOCKET_DGRAM_NOT_CONNECTED', 'Not connected')
    }
  }

  /** As Node's: of what is not bound nothing is set. */
  #checkBound(unbound: () => Error): void {
    this.#checkOpen()
    if (this.#state !== 'bound') throw unbound()
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw notRunning()
  }

  #row(): SocketRow | undefined {
    return {
      proto: 'dgram',
      local: this.#subject ?? '',
      foreign: this.#remote ?? '*',
      state: '',
      recvQ: 0,
      sendQ: this.getSendQueueSize(),
      bytesRead: this.#bytes.read,
      bytesWritten: this.#bytes.written,
      since: this.#since,
      suspended: this.#client?.state !== 'connected',
      id: this.#subject ?? '',
    }
  }
}
