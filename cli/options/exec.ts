/** Options of `exec`. The type is what executor-shim/exec.ts gets. */
import { custom, path, repeated, required, toggle } from './kinds.ts'
import type { OptionsOf, OptionTable } from './option.ts'
import {
  application,
  endpointOptions,
  generation,
  logOptions,
  secretFile,
  uplinkOptions,
  virtualAddress,
} from './shared.ts'
import { parseDial, parseServe } from './values.ts'

export const execOptions = {
  relay: { ...uplinkOptions.relay, required: true },
  tlsCa: uplinkOptions.tlsCa,
  app: required(application),
  address: required({ ...virtualAddress, says: 'the virtual address of this command' }),
  dial: repeated(
    custom('--dial', {
      says: 'what the command dials at this port of 127.64.0.0/10 is tunnelled; urgent goes before bulk',
      value: 'port[:urgent]',
      allowed: 'a port from 1 to 65535, or such as 7077:urgent',
      parse: parseDial,
    }),
  ),
  serve: repeated(
    custom('--serve', {
      says: 'what others dial at this port reaches [::1]:port here, or the given host:port',
      value: 'port[=host:port]',
      allowed: 'a port from 1 to 65535, or such as 6379=127.0.0.1:6380',
      parse: parseServe,
    }),
  ),
  isolate: toggle('--isolate', {
    says: 'the command gets a network namespace of its own, with only loopback',
  }),
  tokenFile: path('--token-file', {
    says: 'file with a token (command `token`), mode 0600; read again on every attach',
  }),
  secretFile: {
    ...secretFile,
    says: `${secretFile.says}, which the command can read from /proc, as it runs as your user: rather give the file, and --token-file to a command that you do not trust. Instead of --token-file: signs its own token`,
  },
  generation,
  ...endpointOptions,
  ...logOptions,
} satisfies OptionTable

/** `command`: what came behind `--`. At least one word. */
export type ExecOptions = OptionsOf<typeof execOptions> & { readonly command: readonly string[] }
