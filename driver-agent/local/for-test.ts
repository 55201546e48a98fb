/** The local provider's doors for tests: another command than the shim, a namespace without IPv6. Used by test/ only. */
import { LocalProvider, type LocalProviderDoors, type LocalProviderOptions } from './provider.ts'

export function createTestProvider(options: LocalProviderOptions, doors: LocalProviderDoors): LocalProvider {
  return new LocalProvider(options, doors)
}
