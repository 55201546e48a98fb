import { describe, expect, it } from 'vitest'
import { explainProbe, type ProbeFacts } from '../../../driver-agent/local/probe-verdict.ts'

const user: ProbeFacts = {
  platform: 'linux',
  hasUnshare: true,
  isRoot: false,
  mode: 'user',
  stderr: 'unshare: unshare failed: Operation not permitted\n',
  maxUserNamespaces: 15000,
  unprivilegedUsernsClone: undefined,
  apparmorRestricts: undefined,
  seccomp: 0,
}

describe('why this machine cannot isolate functions', () => {
  it.each<[string, Partial<ProbeFacts>, RegExp, RegExp]>([
    ['macOS', { platform: 'darwin' }, /macOS/, /Linux virtual machine/],
    ['no unshare', { hasUnshare: false }, /unshare is missing/, /install util-linux/],
    [
      'an old unshare',
      { stderr: "unshare: unrecognized option '--kill-child'\n" },
      /--kill-child/,
      /util-linux 2\.32/,
    ],
    [
      'user.max_user_namespaces',
      { maxUserNamespaces: 0 },
      /max_user_namespaces=0/,
      /sysctl -w user\.max_user_namespaces/,
    ],
    [
      'kernel.unprivileged_userns_clone',
      { unprivilegedUsernsClone: 0 },
      /only root/,
      /sysctl -w kernel\.unprivileged_userns_clone=1/,
    ],
    [
      'AppArmor',
      { apparmorRestricts: 1, stderr: 'unshare: write failed /proc/self/uid_map: Operation not permitted' },
      /AppArmor/,
      /sysctl -w kernel\.apparmor_restrict_unprivileged_userns=0/,
    ],
    ["a container's seccomp", { seccomp: 2 }, /container.*Operation not permitted/, /--privileged/],
    ['a root without capabilities', { isRoot: true }, /container/, /--cap-add SYS_ADMIN/],
    [
      'a full root in trouble',
      { isRoot: true, mode: 'root', maxUserNamespaces: 0 },
      /container/,
      /--privileged/,
    ],
    [
      'no tool for loopback',
      { stderr: 'spark-lambda-relay: cannot bring up the loopback interface: install …\n' },
      /loopback/,
      /iproute2.*perl.*python3/,
    ],
    [
      'no setpriv',
      { stderr: 'spark-lambda-relay: setpriv is missing, without which …: install util-linux\n' },
      /setpriv is missing.*rights of root/,
      /install util-linux/,
    ],
    [
      'a setpriv that fails',
      {
        isRoot: true,
        stderr: 'setpriv: unrecognized option\nspark-lambda-relay: setpriv does not take the rights …\n',
      },
      /setpriv fails \(setpriv: unrecognized option\).*rights of root/,
      /install util-linux.*BusyBox/,
    ],
    ['something else', {}, /Operation not permitted/, /CONFIG_USER_NS/],
  ])('%s: names cause and remedy', (_, facts, cause, remedy) => {
    const verdict = explainProbe({ ...user, ...facts })
    expect(verdict.cause).toMatch(cause)
    expect(verdict.remedy).toMatch(remedy)
  })
})
