/**
 * The program's log: pino's JSON lines on stderr, or text for people on a terminal. Made once
 * by cli/program.ts (and by scripts and tests that need one), handed to the rooms.
 */
import { createRequire } from 'node:module'
import { isatty } from 'node:tty'
import { destination, type Logger, pino } from 'pino'

export interface LogOptions {
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly logFormat: 'auto' | 'json' | 'pretty'
}

const secretKeys = ['token', 'secret', 'password', 'authorization', 'payload', 'env', '_SPARK_AUTH_SECRET']

/** `name`: which command speaks. `fd`: where to; stderr unless a test says otherwise. */
export function createLogger(name: string, options: LogOptions, fd = 2): Logger {
  const isPretty = options.logFormat === 'pretty' || (options.logFormat === 'auto' && isatty(fd))
  // Synchronous: the last lines before an exit are the ones that matter.
  const stream = isPretty
    ? loadPretty()({
        destination: fd,
        sync: true,
        colorize: isatty(fd),
        ignore: 'pid,hostname',
        translateTime: 'HH:MM:ss.l',
      })
    : destination({ dest: fd, sync: true })
  return pino(
    {
      name,
      level: options.logLevel,
      redact: { paths: secretKeys.flatMap((key) => [`["${key}"]`, `*["${key}"]`]), censor: '[redacted]' },
      hooks: { streamWrite: hideSecrets },
    },
    stream,
  )
}

/** Only a person needs it: 3 MiB of every function's memory else. */
function loadPretty(): typeof import('pino-pretty').PinoPretty {
  const require = createRequire(import.meta.url)
  return (require('pino-pretty') as typeof import('pino-pretty')).PinoPretty
}

/** The second fence, for what came inside of a sentence or a URL: tokens and passwords. */
export function hideSecrets(line: string): string {
  return line
    .replaceAll(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '[token]')
    .replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s/@:"]*):[^\s/@"]+@/gi, '$1:[redacted]@')
}
