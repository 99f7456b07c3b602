// Why the addon could not be loaded, and what to do about it.

/** A way to load it that fails, told by what the loader says. */
interface Cause {
  readonly pattern: RegExp
  readonly what: string
  readonly fix: string
}

const CAUSES: readonly Cause[] = [
  {
    pattern: /loading addons is disabled/i,
    what: 'this process may not load addons',
    fix: 'run Node.js without --no-addons; with the permission model, with --allow-addons',
  },
  {
    pattern: /access to this api has been restricted|ERR_ACCESS_DENIED/i,
    what: 'the permission model does not let this process read the binary',
    fix: 'run Node.js with --allow-fs-read for the folder of the package, and with --allow-addons',
  },
]

const NOT_FOUND = /^Cannot find (module|native binding)/
const INSTALL =
  'in a checkout, run "npm run build:release"; as a dependency, delete node_modules and the lockfile and install ' +
  'again without --omit=optional, or set NAPI_RS_NATIVE_LIBRARY_PATH to the .node file'

/** Returns an error that names the platform, the cause, and what to do. `cause` is what the loader threw. */
export function loadFailure(cause: unknown): Error {
  const reasons = messagesOf(cause)
  const platform = `${process.platform}-${process.arch}${libc()}, Node ${process.version}`
  const { what, fix } = explain(reasons)
  const text = `selvedge cannot load its native binary on ${platform}: ${what}. Fix: ${fix}.`
  return Object.assign(new Error(text, { cause }), { code: 'ERR_NATIVE_MISSING' })
}

function explain(reasons: readonly string[]): { what: string; fix: string } {
  const override = process.env['NAPI_RS_NATIVE_LIBRARY_PATH']
  const known = CAUSES.find(({ pattern }) => reasons.some(reason => pattern.test(reason)))
  if (known !== undefined) return known
  const [first = 'no reason given'] = reasons
  if (override) {
    return {
      what: `NAPI_RS_NATIVE_LIBRARY_PATH is '${override}', which is no binary of this version: ${first}`,
      fix: `correct the variable, or unset it; ${INSTALL}`,
    }
  }
  const broken = reasons.find(reason => !NOT_FOUND.test(reason))
  if (broken !== undefined) {
    return {
      what: `it is there, and does not load: ${broken}`,
      fix: `build or install it for this platform: ${INSTALL}`,
    }
  }
  const loader = `${__dirname}/../../native.js`
  const tried = `tried the generated loader ${loader} (a local selvedge.*.node, then the package of this platform)`
  return { what: `there is none; ${tried}: ${first}`, fix: INSTALL }
}

/** Returns the first lines of an error and of its causes; what failed first is the last cause, and comes first. */
function messagesOf(error: unknown): string[] {
  const messages: string[] = []
  for (let cause = error; cause instanceof Error && messages.length < MAX_CAUSES; cause = cause.cause) {
    messages.unshift(cause.message.split('\n')[0] as string)
  }
  return messages.length > 0 ? messages : [String(error)]
}

const MAX_CAUSES = 20

function libc(): string {
  if (process.platform !== 'linux') return ''
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  const glibc = report?.header?.glibcVersionRuntime
  return glibc ? ` (glibc ${glibc})` : ' (musl)'
}
