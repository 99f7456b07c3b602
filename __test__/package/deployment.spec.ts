// examples/deployment: what the files for Docker Compose and Kubernetes say fits together, and what they start runs.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { createInterface } from 'node:readline'
import { load, loadAll } from 'js-yaml'
import { type Client, connect } from 'selvedge'
import { rejection } from '../support/messages'
import { describeNats, freePorts, NATS_SERVER } from '../support/nats'
import { disconnection, join, listening, take } from '../support/sockets'

const FOLDER = joinPath(__dirname, '../../examples/deployment')
const text = (name: string): string => readFileSync(joinPath(FOLDER, name), 'utf8')

interface Service {
  image: string
  command?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  depends_on?: string[]
  stop_grace_period?: string
}

const { services } = load(text('compose.yaml')) as { services: Record<string, Service> }
const named = (beginning: string): [string, Service][] =>
  Object.entries(services).filter(([name]) => name.startsWith(beginning))
const seconds = (duration = ''): number => Number(/^(\d+)s$/.exec(duration)?.[1])
/** How long a gateway drains. */
const DRAIN_SECONDS = Number(/deadline: ([\d_]+)/.exec(text('gateway.mjs'))![1]!.replace('_', '')) / 1000

describe('the file for Docker Compose', () => {
  test('names only services and files that there are', () => {
    for (const [name, service] of Object.entries(services)) {
      for (const other of service.depends_on ?? []) expect(Object.keys(services)).toContain(other)
      for (const volume of service.volumes ?? []) {
        const [source] = volume.split(':') as [string]
        if (source !== './') expect(text(source).length).toBeGreaterThan(0)
      }
      const hosts = JSON.stringify(service).matchAll(/nats:\/\/([a-z][\w-]*)/g)
      for (const [, host] of hosts) expect(Object.keys(services)).toContain(host)
      expect([name, service.image]).toEqual([name, expect.stringMatching(/^\w+:[\d.]+$/)])
    }
    const backends = [...text('haproxy.cfg').matchAll(/^ {2}server \S+ (\S+):(\d+)$/gm)]
    expect(backends.map(([, host]) => host)).toEqual(named('gateway').map(([name]) => name))
    for (const [, , port] of backends) expect(port).toBe(services['gateway-1']!.environment!.PORT)
  })

  test('gives everything time to end', () => {
    for (const [, gateway] of named('gateway'))
      expect(seconds(gateway.stop_grace_period)).toBeGreaterThan(DRAIN_SECONDS)
    const duck = Number(/lame_duck_duration: "(\d+)s"/.exec(text('nats.conf'))![1])
    for (const [, nats] of named('nats')) expect(seconds(nats.stop_grace_period)).toBeGreaterThan(duck)
  })

  const haproxy = spawnSync('haproxy', ['-v']).status === 0 ? test : test.skip
  haproxy('has a configuration that HAProxy takes', () => {
    const config = text('haproxy.cfg').replace(/(server \S+) [\w-]+:/g, '$1 127.0.0.1:')
    const checked = spawnSync('haproxy', ['-c', '-f', '/dev/stdin'], { input: config, encoding: 'utf8' })
    expect([checked.status, checked.stderr]).toEqual([0, expect.anything()])
  })
})

test('the file for Kubernetes fits the gateway, and its parts each other', () => {
  const [deployment, service, budget] = loadAll(text('kubernetes.yaml')) as any[]
  expect([deployment, service, budget].map(({ kind }) => kind)).toEqual([
    'Deployment',
    'Service',
    'PodDisruptionBudget',
  ])
  const { labels } = deployment.spec.template.metadata
  for (const selector of [
    deployment.spec.selector.matchLabels,
    service.spec.selector,
    budget.spec.selector.matchLabels,
  ])
    expect(selector).toEqual(labels)
  const { terminationGracePeriodSeconds, containers } = deployment.spec.template.spec
  const [gateway] = containers
  const [, pause] = gateway.lifecycle.preStop.exec.command
  expect(terminationGracePeriodSeconds).toBeGreaterThan(Number(pause) + DRAIN_SECONDS)
  expect(gateway.readinessProbe.httpGet.path).toBe('/healthz')
  expect(gateway.command).toEqual(services['gateway-1']!.command)
  // What gateway.mjs reads without a default is set.
  const names = gateway.env.map(({ name }: { name: string }) => name)
  expect(names).toEqual(['UPSTREAM', 'GATEWAY_PASSWORD'])
  expect(gateway.ports[0].containerPort).toBe(3000)
  expect(service.spec.ports[0].targetPort).toBe(gateway.ports[0].name)
  expect(budget.spec.minAvailable).toBeLessThan(deployment.spec.replicas)
})

describeNats('what the file for Docker Compose starts', () => {
  const children: ChildProcess[] = []
  const clients: Client[] = []
  const folder = mkdtempSync(joinPath(tmpdir(), 'selvedge-compose-'))
  afterAll(async () => {
    await Promise.all(clients.map(client => client.close()))
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true })
  })

  /** What it says, until it says this. */
  async function started(child: ChildProcess, said: RegExp): Promise<RegExpExecArray> {
    children.push(child)
    const lines: string[] = []
    return await new Promise((resolve, reject) => {
      for (const output of [child.stdout!, child.stderr!]) {
        createInterface(output).on('line', line => {
          lines.push(line)
          const found = said.exec(line)
          if (found) resolve(found)
        })
      }
      child.once('exit', () => reject(Error(`it ended:\n${lines.join('\n')}`)))
    })
  }

  test('runs by the same commands on one machine: gateways are healthy, a socket goes across, SIGTERM drains', async () => {
    const nats = named('nats').map(([name]) => name)
    const ports = await freePorts(2 * nats.length)
    const clientPort = (name: string): number => ports[nats.indexOf(name)]!
    const routePort = (name: string): number => ports[nats.length + nats.indexOf(name)]!
    const passwords: Record<string, string> = { GATEWAY_PASSWORD: 'secret', ANN_PASSWORD: 'anns' }
    /** Names become ports of this machine, and variables what they stand for. */
    const local = (value: string, own = ''): string =>
      value
        .replace(/\$\{(\w+):\?[^}]*\}/g, (_, name) => passwords[name]!)
        .replace('0.0.0.0:6222', `127.0.0.1:${routePort(own)}`)
        .replace(/nats:\/\/([a-z][\w-]*):6222/g, (_, name) => `nats://127.0.0.1:${routePort(name)}`)
        .replace(/nats:\/\/([a-z][\w-]*)/g, (_, name) => `nats://127.0.0.1:${clientPort(name)}`)
        .replace('/nats.conf', joinPath(FOLDER, 'nats.conf'))
    const environment = (service: Service, name: string): NodeJS.ProcessEnv => ({
      ...process.env,
      ...Object.fromEntries(
        Object.entries(service.environment ?? {}).map(([key, value]) => [key, local(value, name)]),
      ),
    })
    await Promise.all(
      named('nats').map(async ([name, service]) => {
        const args = service.command!.map(arg => local(arg, name))
        const where = ['-a', '127.0.0.1', '-p', String(clientPort(name))]
        const child = spawn(NATS_SERVER!, [...args, ...where], {
          env: environment(service, name),
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        await started(child, /Server is ready/)
      }),
    )
    const gateways = await Promise.all(
      named('gateway').map(async ([name, service]) => {
        const [program, ...args] = service.command!
        const env = { ...environment(service, name), PORT: '0', HOST: '127.0.0.1' }
        expect(program).toBe('node')
        const child = spawn(process.execPath, args, { cwd: FOLDER, env, stdio: ['ignore', 'pipe', 'pipe'] })
        const [, port] = await started(child, /^listening on http:\/\/127\.0\.0\.1:(\d+)/)
        return { child, port: Number(port) }
      }),
    )
    // As the balancer asks.
    for (const { port } of gateways) {
      const probe = createConnection(port, '127.0.0.1')
      probe.setEncoding('latin1').write('GET /healthz HTTP/1.0\r\n\r\n')
      const [answer] = await once(probe, 'data')
      expect(answer).toMatch(/^HTTP\/1\.[01] 200 /)
      probe.destroy()
    }
    const to = (address: string, options = {}): Client => {
      const made = connect({ address, noCache: true, ...options })
      clients.push(made)
      return made
    }
    const [host, guest] = gateways.map(({ port }) => to(`http://127.0.0.1:${port}`)) as [Client, Client]
    const listener = await listening(host, 'chat')
    await guest.waitForInterest('chat.server.status')
    const [there, socket] = await join(listener, guest)
    const received = take(there, 2)
    socket.write('one')
    socket.write('two')
    expect(await received).toEqual(['one', 'two'])

    // Who is inside the trust line has an inbox of its own, and no more than what is permitted.
    const user = { user: 'ann', password: passwords.ANN_PASSWORD, inboxPrefix: '_INBOX_ann' }
    const ann = to(`nats://127.0.0.1:${clientPort(nats[0]!)}`, user)
    const service = await ann.subscribe('app.double')
    service.emitter.on('message', message => message.respondSync(message.data * 2))
    await guest.waitForInterest('app.double')
    expect((await guest.request('app.double', 21)).data).toBe(42)
    expect(await rejection(ann.publish('chat.anything', 1))).toMatchObject({ code: 403 })
    expect(await rejection(ann.subscribe('_INBOX.>'))).toMatchObject({ code: 403 })
    expect(await rejection(guest.publish('$JS.API.INFO', 1))).toMatchObject({ code: 403 })
    service.close()

    const drained = gateways[1]!.child
    const [gone, left] = [once(drained, 'exit'), disconnection(guest)]
    drained.kill('SIGTERM')
    await left
    expect((await gone)[0]).toBe(0)
  }, 120_000)
})
