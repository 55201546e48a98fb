/** Options with which Node takes itself for another version: an older one is not at hand in every checkout. */
export function asNode(version: string): readonly string[] {
  const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`
  return ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`]
}
