// A service of several methods, and the object that calls them. A call is a request with data `[name, args]`.
import type { HandlerSetup, Remote, ServiceTarget } from '../../index'
import { asksAs, callProxy, checkImplementation, invoke } from '../messaging/service'
import { checkObject } from '../values/errors'
import { ConatService } from './conat-service'
import { clientOf, subjectOf } from './subject'

/** Serves the methods of an object. Resolves when calls can arrive. */
export async function createServiceHandler(options: HandlerSetup<object>): Promise<ConatService> {
  checkObject('the service', options)
  const { impl, ...rest } = options
  checkImplementation(impl)
  const service = new ConatService({ ...rest, handler: (_call, message) => invoke(message as never, impl) })
  await service.running
  return service
}

/** What every service client has beside the methods of its service. */
interface Reach {
  /** Resolves when the service is there. */
  waitFor(options?: { maxWait?: number }): Promise<void>
  /** Resolves with whether it is there now. */
  ping(): Promise<boolean>
}

/** Returns an object whose methods call the service, and wait for one that comes later. */
export function createServiceClient<T>(options: ServiceTarget): Remote<T> & { conat: Reach } {
  const subject = subjectOf(options)
  const { client, timeout, signal, noRetry } = options
  const waitForInterest = !noRetry
  const methods = callProxy<Record<string, unknown>>(`call '${subject}'`, async (call, own) =>
    (await clientOf(client)).request(subject, call, { timeout, signal, waitForInterest, ...own }),
  )
  const conat: Reach = {
    waitFor: async ({ maxWait } = {}) => {
      await (await clientOf(client)).waitForInterest(subject, { timeout: maxWait })
    },
    ping: async () => await (await clientOf(client)).interest(subject),
  }
  const wrapped = new Proxy(methods, {
    get: (target, name) => (name === 'conat' ? conat : Reflect.get(target, name)),
  })
  asksAs(wrapped, methods)
  return wrapped as Remote<T> & { conat: Reach }
}
