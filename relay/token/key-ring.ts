/**
 * The keys in use, out of a file or a text. A file is looked at for each token, and read again when
 * it changed, so that keys rotate without a restart. Used by the
 * verifier and by whoever signs.
 */
import { stat } from 'node:fs/promises'
import type { Logger } from 'pino'
import { KeyError } from './errors.ts'
import { keyCovers, parseKeys, type SigningKey } from './keys.ts'
import { readPrivateFile } from './private-file.ts'

export interface KeySource {
  /** `--secret-file`. Wins over `text`. */
  readonly file?: string | undefined
  /** The same lines, out of SLR_SECRET. */
  readonly text?: string | undefined
}

/** Reads a file of keys. Throws KeyError `unreadable`, `too-open` (others may read it) or what is wrong in it. */
export async function readKeyFile(file: string): Promise<readonly SigningKey[]> {
  const text = await readPrivateFile(file, {
    unreadable: ({ code }) => {
      const orMake =
        code === 'ENOENT'
          ? `, or make it: (umask 077; printf 'everyone:*:%s\\n' "$(openssl rand 32 | basenc --base64url)" > ${file})`
          : ''
      return new KeyError(
        'unreadable',
        `--secret-file ${file} cannot be read (${code}); name a file that exists and is yours${orMake}`,
      )
    },
    tooOpen: (mode) =>
      new KeyError(
        'too-open',
        `--secret-file ${file} has mode ${mode}, so others can read it; run: chmod 600 ${file}`,
      ),
  })
  return parseKeys(text, `--secret-file ${file}`)
}

export class KeyRing {
  readonly #file: string | undefined
  readonly #log: Logger | undefined
  #keys: readonly SigningKey[]
  /** Identity of the file that #keys came from, or that was last found wrong. */
  #stamp: string
  #refreshing: Promise<void> | undefined

  private constructor(keys: readonly SigningKey[], file?: string, stamp = '', log?: Logger) {
    this.#keys = keys
    this.#file = file
    this.#stamp = stamp
    this.#log = log
  }

  /** Throws KeyError when there are no keys to be had. */
  static async open(source: KeySource, log?: Logger): Promise<KeyRing> {
    if (source.file !== undefined) {
      const stamp = await stampOf(source.file)
      return new KeyRing(await readKeyFile(source.file), source.file, stamp, log)
    }
    if (source.text !== undefined && source.text !== '')
      return new KeyRing(parseKeys(source.text, 'SLR_SECRET'))
    throw new KeyError('no-keys', 'no key to check or sign tokens with; give --secret-file or set SLR_SECRET')
  }

  /** A ring of keys that never change. */
  static of(keys: readonly SigningKey[]): KeyRing {
    return new KeyRing(keys)
  }

  /** The key of that name, from the newest state of the file; undefined: there is none. */
  async find(name: string): Promise<SigningKey | undefined> {
    // For known names too: who waits longer for those that are not could tell which are.
    await this.#refresh()
    return this.#keys.find((key) => key.name === name)
  }

  /** The key to sign for `app` with: the first whose prefix fits, or the one named. Throws KeyError `no-key-fits`. */
  signer(app: string, name?: string): SigningKey {
    const found = this.#keys.find((key) => keyCovers(key, app) && (name === undefined || key.name === name))
    if (found !== undefined) return found
    const which = name === undefined ? 'none of the keys' : `no key named ${name}`
    throw new KeyError(
      'no-key-fits',
      `${which} covers the application ${app}; the prefixes are ${this.#keys.map((key) => `${key.prefix} (${key.name})`).join(', ')}`,
    )
  }

  /** Reads the file again, whatever its time stamp (SIGHUP). A file that is wrong changes nothing and is logged. */
  async reload(): Promise<void> {
    await this.#refreshing // it may have begun before the file was changed
    this.#stamp = ''
    await this.#refresh()
  }

  /** Whoever comes while the file is read waits for what is read: a new key is new to all of them. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#readAgain().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #readAgain(): Promise<void> {
    if (this.#file === undefined) return
    const stamp = await stampOf(this.#file)
    if (stamp === this.#stamp) return
    this.#stamp = stamp
    try {
      this.#keys = await readKeyFile(this.#file)
      this.#log?.info({ keys: this.#keys.map((key) => key.name) }, 'secret file read again')
    } catch (error) {
      this.#log?.error(
        { reason: (error as Error).message },
        'secret file is wrong, the keys read before stay in use',
      )
    }
  }
}

/** Changes whenever the file does, or is replaced. */
async function stampOf(file: string): Promise<string> {
  const found = await stat(file).catch(() => undefined)
  return found === undefined ? 'none' : `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`
}
