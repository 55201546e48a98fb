/**
 * A private CA and certificates signed by it, made by the machine's openssl for the test that
 * asks. Nothing secret is committed and nothing expires in the repository.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestCertificates {
  /** PEM of the CA. */
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
  readonly cert: Buffer
  readonly key: Buffer
  remove(): void
}

/** `names` as openssl writes them: `DNS:localhost`, `IP:127.0.0.1`. `days` may be negative: expired. */
export function makeCertificates(names = ['DNS:localhost', 'IP:127.0.0.1'], days = 2): TestCertificates {
  const dir = mkdtempSync(join(tmpdir(), 'slr-certificates-'))
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
  }
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...curve,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=test CA',
  )
  openssl('req', ...curve, '-keyout', 'relay.key', '-out', 'relay.csr', '-subj', '/CN=relay')
  writeFileSync(join(dir, 'extensions'), `subjectAltName=${names.join(',')}\n`)
  const sign = ['x509', '-req', '-in', 'relay.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
  openssl(...sign, '-days', String(days), '-extfile', 'extensions', '-out', 'relay.pem')
  const certFile = join(dir, 'relay.pem')
  const keyFile = join(dir, 'relay.key')
  return {
    caFile: join(dir, 'ca.pem'),
    certFile,
    keyFile,
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}
