import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { removeTree } from '../../executor-shim/remove-tree.ts'

const folder = (): string => mkdtempSync(join(tmpdir(), 'slr-remove-'))

it('removes what nobody may write, and what its links lead to stays', async () => {
  const [tree, kept] = [folder(), folder()]
  mkdirSync(join(tree, 'a'))
  writeFileSync(join(tree, 'a', 'file'), 'x')
  symlinkSync(kept, join(tree, 'link'))
  chmodSync(join(tree, 'a'), 0o500)
  await removeTree(tree)
  expect([existsSync(tree), existsSync(kept)]).toEqual([false, true])
  await removeTree(kept)
  await removeTree(kept)
})

it('removes a tree that is deeper than a path may be long', async () => {
  const tree = folder()
  const deeper = `
import os, sys
os.chdir(sys.argv[1])
for _ in range(30):
    os.mkdir('d' * 200)
    os.chdir('d' * 200)
open('file', 'w').write('x' * 1000)
os.chmod('.', 0o500)`
  execFileSync('python3', ['-c', deeper, tree])
  await removeTree(tree)
  expect(existsSync(tree)).toBe(false)
})
