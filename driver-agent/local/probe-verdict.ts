/** Why namespaces cannot be had, and what mends it, out of what the machine says. Pure. Used by probe.ts. */

export interface ProbeFacts {
  readonly platform: string
  readonly hasUnshare: boolean
  readonly isRoot: boolean
  /** Whether a user namespace was asked for: as root with all capabilities it is not. */
  readonly mode: 'root' | 'user'
  /** What unshare or the setup wrote. */
  readonly stderr: string
  /** Kernel settings; undefined where the kernel has no such setting. */
  readonly maxUserNamespaces: number | undefined
  readonly unprivilegedUsernsClone: number | undefined
  readonly apparmorRestricts: number | undefined
  /** Seccomp mode of this process. */
  readonly seccomp: number | undefined
}

export interface ProbeVerdict {
  readonly cause: string
  readonly remedy: string
}

const elsewhere = 'or run as root'

export function explainProbe(facts: ProbeFacts): ProbeVerdict {
  if (facts.platform !== 'linux') {
    return {
      cause: `the local provider needs Linux namespaces, and this is ${facts.platform === 'darwin' ? 'macOS' : facts.platform}`,
      remedy: 'run it in a Linux virtual machine or a privileged container',
    }
  }
  if (!facts.hasUnshare) {
    return { cause: 'the program unshare is missing', remedy: 'install util-linux (version 2.32 or later)' }
  }
  const setup = /^spark-lambda-relay: (.*)$/m.exec(facts.stderr)?.[1]
  if (setup?.startsWith('setpriv ') === true) {
    const why = setup.includes('missing') ? 'is missing' : `fails (${firstLine(facts.stderr)})`
    return {
      cause: `the program setpriv ${why}, without which executors would keep rights of root`,
      remedy: 'install util-linux 2.32 or later (that of BusyBox is not enough)',
    }
  }
  if (/unrecognized option|invalid option|unknown option/i.test(facts.stderr)) {
    return {
      cause: `this unshare does not know an option that is needed: ${firstLine(facts.stderr)}`,
      remedy: 'install util-linux 2.32 or later (that of BusyBox is not enough)',
    }
  }
  if (setup?.includes('loopback') === true) {
    return {
      cause: 'the loopback interface of a new network namespace cannot be brought up',
      remedy: 'install iproute2 (the program ip), perl or python3',
    }
  }
  const sysctl = refusedBySysctl(facts)
  if (sysctl !== undefined) return sysctl
  if (facts.seccomp === 2 || facts.isRoot) {
    return {
      cause: `this container may not make namespaces (${setup ?? firstLine(facts.stderr)})`,
      remedy:
        'start the container with --privileged, or with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cap-add SYS_ADMIN --cap-add NET_ADMIN',
    }
  }
  return {
    cause: `namespaces cannot be made here (${setup ?? firstLine(facts.stderr)})`,
    remedy: `allow user namespaces in the kernel (CONFIG_USER_NS), ${elsewhere}`,
  }
}

/** Settings of the kernel about user namespaces. */
function refusedBySysctl(facts: ProbeFacts): ProbeVerdict | undefined {
  if (facts.mode === 'root') return undefined
  if (facts.unprivilegedUsernsClone === 0) {
    return {
      cause: 'the kernel lets only root make user namespaces (kernel.unprivileged_userns_clone=0)',
      remedy: `sudo sysctl -w kernel.unprivileged_userns_clone=1, ${elsewhere}`,
    }
  }
  if (facts.maxUserNamespaces === 0) {
    return {
      cause: 'user namespaces are turned off (user.max_user_namespaces=0)',
      remedy: `sudo sysctl -w user.max_user_namespaces=10000, ${elsewhere}`,
    }
  }
  if (facts.apparmorRestricts === 1) {
    return {
      cause:
        'AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns=1, as Ubuntu 23.10 and later do)',
      remedy: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, ${elsewhere}`,
    }
  }
  return undefined
}

function firstLine(text: string): string {
  return (
    text
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.trim() ?? 'no reason given'
  )
}
