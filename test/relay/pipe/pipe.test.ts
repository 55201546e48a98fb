import { afterAll, beforeAll } from 'vitest'
import { describePipe } from '../../contract/pipe.ts'
import { makeCertificates, type TestCertificates } from '../../helper/certificates.ts'
import { startPipeWorld, type Transport } from '../../helper/pipe-world.ts'

let certificates: TestCertificates
beforeAll(() => {
  certificates = makeCertificates()
})
afterAll(() => certificates.remove())

const transports: readonly Transport[] = ['tcp', 'unix', 'tls', 'ws', 'wss']
for (const transport of transports) {
  const isSecure = transport === 'tls' || transport === 'wss'
  describePipe(transport, () => startPipeWorld({ transport, ...(isSecure ? { certificates } : {}) }))
}
