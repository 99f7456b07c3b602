// deploy/, the workflows and the bill of materials: read by their own programs where there are such, else taken apart here.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { init } from 'selvedge'
import { Command, runCommand } from '../support/command'
import { until } from '../support/events'

jest.setTimeout(60_000)

const ROOT = join(__dirname, '../..')
const text = (name: string): string => readFileSync(join(ROOT, name), 'utf8')
const { napi, version } = JSON.parse(text('package.json')) as { napi: { targets: string[] }; version: string }
const platforms = readdirSync(join(ROOT, 'npm'))

describe('the Dockerfile', () => {
  const lines = text('deploy/Dockerfile')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => /^([A-Z]+) (.+)$/.exec(line)!.slice(1) as [string, string])
  const last = lines.slice(lines.map(([name]) => name).lastIndexOf('FROM'))
  const of = (name: string): string => last.find(([other]) => other === name)![1]

  test('has instructions that there are, two stages of one image, and no user but node, by its number', () => {
    const known = 'ARG FROM WORKDIR COPY RUN ENV USER EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD'.split(' ')
    for (const [name] of lines) expect(known).toContain(name)
    const stages = lines.filter(([name]) => name === 'FROM').map(([, image]) => image.split(' ')[0])
    expect(stages).toEqual([`\${NODE_IMAGE}`, `\${NODE_IMAGE}`])
    expect([of('USER'), of('STOPSIGNAL')]).toEqual(['1000:1000', 'SIGTERM'])
    expect(last.map(([name]) => name)).not.toContain('RUN')
    expect(lines.find(([, what]) => what.startsWith('npm'))![1]).toContain('--omit=dev --ignore-scripts')
  })

  const has = spawnSync('hadolint', ['--version']).status === 0 ? test : test.skip

  has('has nothing that hadolint would have otherwise', () => {
    const { status, stdout } = spawnSync('hadolint', [join(ROOT, 'deploy/Dockerfile')], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  })

  test('is built by CI on an image that is named by its digest', () => {
    const steps: { run?: string }[] = (load(text('.github/workflows/ci.yml')) as any).jobs.image.steps
    const [build, ...others] = steps.filter(({ run }) => run?.includes('docker build'))
    expect(others).toEqual([])
    expect(build!.run).toMatch(
      /RepoDigests 0[\s\S]*@sha256:[\s\S]*docker build --build-arg NODE_IMAGE="\$image"/,
    )
  })

  test('starts a broker', async () => {
    expect(JSON.parse(of('ENTRYPOINT'))).toEqual(['selvedge'])
    const { exit, stdout } = await runCommand([...(JSON.parse(of('CMD')) as string[]), '--check'])
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: 'would listen on http://0.0.0.0:3000\n' })
    expect(of('ENV')).toContain('HEALTH_URL=http://127.0.0.1:3000/healthz')
  })

  test('finds one healthy that works, and no other', async () => {
    const [node, ...args] = JSON.parse(/CMD (.+)$/.exec(of('HEALTHCHECK'))![1]!) as string[]
    expect(node).toBe('node')
    const broker = init({ port: 0 })
    await broker.waitUntilReady()
    const HEALTH_URL = `${broker.address()}/healthz`
    const look = (): Promise<{ exit: number | null }> =>
      new Command(`exec "$0" ${args.map(arg => `'${arg}'`).join(' ')}`.replace('$0', process.execPath), {
        HEALTH_URL,
      }).ended
    expect((await look()).exit).toBe(0)
    await broker.close()
    expect((await look()).exit).toBe(1)
  })
})

describe('the unit for systemd', () => {
  const unit = text('deploy/selvedge.service')
  const has = spawnSync('systemd-analyze', ['--version']).status === 0 ? test : test.skip
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  has('is understood, and lets the broker do little', () => {
    const path = join(folder, 'selvedge.service')
    // The program has to be there.
    writeFileSync(path, unit.replace('/usr/bin/selvedge', '/bin/true'))
    for (const args of [['verify'], ['security', '--offline=true', '--threshold=40']]) {
      const { status, stdout, stderr } = spawnSync('systemd-analyze', [...args, path], { encoding: 'utf8' })
      expect({ args, status, said: status === 0 ? '' : stdout + stderr }).toEqual({
        args,
        status: 0,
        said: '',
      })
    }
  })

  /** Runs a broker with a program in place of systemd's own, which sends a datagram; returns what it was told. */
  const saidBy = async (more: Record<string, string>, isEnough: (said: string) => boolean) => {
    const said = join(folder, 'said')
    const program = join(folder, 'systemd-notify')
    writeFileSync(program, `#!/bin/sh\necho "$@" >> '${said}'\n`)
    chmodSync(program, 0o755)
    const env = { NOTIFY_SOCKET: '/run/none', PATH: `${folder}:${process.env.PATH}`, ...more }
    const broker = new Command(['broker', '-p', '0'], env)
    await broker.until(/listening/)
    await until(() => existsSync(said) && isEnough(readFileSync(said, 'utf8')))
    expect((await broker.stop()).exit).toBe(0)
    return readFileSync(said, 'utf8').replaceAll(`--pid=${broker.child.pid}`, '--pid=MAIN')
  }

  test('starts what there is, and hears when it is ready and when it stops', async () => {
    const [, args] = /^ExecStart=\/usr\/bin\/selvedge (.+)$/m.exec(unit)!
    const help = await runCommand(['broker', '--help'])
    for (const option of args!.match(/--[\w-]+/g)!) expect(help.stdout).toContain(option)
    expect(await saidBy({}, () => true)).toBe('--pid=MAIN --ready\n--pid=MAIN STOPPING=1\n')
  })

  test('asks whether the broker is alive, and hears so until it stops', async () => {
    expect(Number(/^WatchdogSec=(\d+)$/m.exec(unit)![1])).toBeGreaterThanOrEqual(10)
    const said = await saidBy({ WATCHDOG_USEC: '20000' }, text => text.split('WATCHDOG=1\n').length > 3)
    expect(said).toMatch(/^--pid=MAIN --ready\n(WATCHDOG=1\n){3,}/)
    expect(said).toContain('--pid=MAIN STOPPING=1\n')
  })

  test.each<Record<string, string>>([
    { WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' },
    { WATCHDOG_USEC: 'soon' },
    { WATCHDOG_USEC: '0' },
  ])('hears nothing it has not asked for: %j', async env => {
    expect(await saidBy(env, () => true)).toBe('--pid=MAIN --ready\n--pid=MAIN STOPPING=1\n')
  })

  test('gives the broker time to drain', () => {
    expect(Number(/TimeoutStopSec=(\d+)/.exec(unit)![1])).toBeGreaterThan(10)
  })
})

describe('the file for Docker Compose', () => {
  const { services, secrets } = load(text('deploy/compose.yaml')) as any

  test('names files and services that there are', () => {
    for (const { volumes = [], depends_on = [], build, secrets: used = [] } of Object.values<any>(services)) {
      for (const volume of volumes as string[]) {
        expect(existsSync(join(ROOT, 'deploy', volume.split(':')[0]!))).toBe(true)
      }
      for (const other of depends_on) expect(Object.keys(services)).toContain(other)
      for (const secret of used) expect(Object.keys(secrets)).toContain(secret)
      if (build !== undefined)
        expect(existsSync(join(ROOT, 'deploy', build.context, build.dockerfile))).toBe(true)
    }
    for (const name of ['prometheus.yml', 'grafana-source.yaml', 'grafana-dashboards.yaml']) {
      expect(load(text(`deploy/${name}`))).toBeInstanceOf(Object)
    }
    const [{ static_configs }] = (load(text('deploy/prometheus.yml')) as any).scrape_configs
    for (const target of static_configs[0].targets) expect(services).toHaveProperty(target.split(':')[0])
  })

  test('has brokers with a configuration that is taken', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    writeFileSync(join(folder, 'token'), 'a-token-for-Prometheus')
    const env = { METRICS_TOKEN_FILE: join(folder, 'token') }
    const args = ['broker', '--config', join(ROOT, 'deploy/broker.jsonc'), '--check', '--json']
    const { exit, stdout } = await runCommand(args, { env })
    expect(exit).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      upstream: ['nats://nats:4222'],
      metrics: true,
      host: '0.0.0.0',
    })
    rmSync(folder, { recursive: true })
  })
})

describe('what is published', () => {
  const ci = load(text('.github/workflows/ci.yml')) as any
  const release = load(text('.github/workflows/release.yml')) as any

  test('is every platform, built and tested by the same workflow', () => {
    const built = ci.jobs.build.strategy.matrix.include.map(({ target }: { target: string }) => target)
    expect(built.sort()).toEqual([...napi.targets].sort())
    expect(platforms).toHaveLength(napi.targets.length)
    expect(ci.on ?? ci.true).toHaveProperty('workflow_call')
    expect(release.jobs.ci.uses).toBe('./.github/workflows/ci.yml')
    expect(release.jobs.publish.needs).toBe('ci')
  })

  test('has a provenance, and needs no token', () => {
    expect(release.permissions).toEqual({ contents: 'read' })
    expect(release.jobs.publish.permissions).toEqual({ contents: 'write', 'id-token': 'write' })
    const steps = JSON.stringify(release.jobs.publish.steps)
    expect(steps).toContain('npm publish --provenance')
    expect(steps).not.toMatch(/NPM_TOKEN|NODE_AUTH_TOKEN/)
  })

  test.each(platforms)('%s has a licence, a bill of materials, and the version of the package', name => {
    const platform = JSON.parse(text(`npm/${name}/package.json`))
    expect(platform.files).toEqual([`selvedge.${name}.node`, 'LICENSE-*', 'sbom.cdx.json'])
    expect(platform.version).toBe(version)
  })
})

test('the bill of materials has everything that is shipped, with hashes and licences', () => {
  const { status, stdout } = spawnSync(process.execPath, ['scripts/sbom.mjs'], {
    cwd: ROOT,
    encoding: 'utf8',
    // What is linked has been built, so that nothing is to be fetched.
    env: { ...process.env, CARGO_NET_OFFLINE: 'true' },
  })
  expect(status).toBe(0)
  const bom = JSON.parse(stdout) as {
    bomFormat: string
    metadata: { component: { purl: string } }
    components: { purl: string; name: string; hashes: { content: string }[]; licenses: unknown[] }[]
    dependencies: { dependsOn: string[] }[]
  }
  expect([bom.bomFormat, bom.metadata.component.purl]).toEqual(['CycloneDX', `pkg:npm/selvedge@${version}`])
  const names = bom.components.map(({ name }) => name)
  const { dependencies } = JSON.parse(text('package.json')) as { dependencies: Record<string, string> }
  expect(names).toEqual(
    expect.arrayContaining([...Object.keys(dependencies), 'napi', 'rustls', 'serde', 'tokio']),
  )
  for (const other of ['proptest', 'divan', 'jest', 'selvedge']) expect(names).not.toContain(other)
  for (const { hashes, licenses } of bom.components) {
    expect(hashes[0]!.content).toMatch(/^[0-9a-f]{64,128}$/)
    expect(licenses).toHaveLength(1)
  }
  expect(new Set(bom.dependencies[0]!.dependsOn).size).toBe(bom.components.length)
})
