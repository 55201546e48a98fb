/**
 * What the project promises to show, row by row, and the tests that show it. `npm run
 * test:full` runs them and writes docs/test-report.md; a row whose tests did not run says so.
 * A row is passed only when every part of it ran and passed.
 */

/** Versions of Spark that tests run on, fetched by scripts/prepare.ts. */
export const testedSparks = ['3.5.7', '4.3.0'] as const

/** Tests of one file; of all its tests, or of those whose full name (`describe > it`) matches. */
export interface RowTests {
  readonly file: string
  readonly name?: RegExp
}

export interface Row {
  readonly area: string
  readonly what: string
  /** A row without tests is NOT RUN, for the reason in `because`. */
  readonly tests: readonly RowTests[]
  readonly because?: string
  /** More of the same than `npm test` does: rows with variables run apart from the others. */
  readonly environment?: Readonly<Record<string, string>>
}

const agent = 'test/driver-agent'
const facade = `${agent}/facade/facade.test.ts`
const realDriver = `${agent}/facade/real-driver.spark-full.test.ts`
const ends = `${agent}/local/ends.slow.test.ts`
const isolation = `${agent}/local/isolation.slow.test.ts`
const settings = `${agent}/settings/apply.test.ts`
const starts = `${agent}/pods/start.test.ts`
const pods = `${agent}/pods/life.test.ts`
const traffic = 'test/spark/all-traffic.spark.test.ts'
const life = 'test/spark/life.spark.test.ts'
const history = 'test/spark/history.spark-full.test.ts'
const otherMachines = 'test/spark/other-machines.spark-full.test.ts'
const sideBySide = 'test/spark/side-by-side.spark-full.test.ts'
const badLuck = 'test/spark/bad-luck.spark-full.test.ts'
const relayAway = 'test/spark/relay-away.spark-full.test.ts'
const notebook = 'test/spark/notebook.spark-full.test.ts'
const limits = 'test/spark/limits.spark-full.test.ts'
const deaths = 'test/spark/deaths.spark-full.test.ts'
const relayLoss = 'test/spark/relay-loss.spark-full.test.ts'
const shimLife = 'test/executor-shim/life.slow.test.ts'
const exec = 'test/executor-shim/exec.slow.test.ts'
const execPrograms = 'test/executor-shim/exec-programs.slow.test.ts'
const handshake = 'test/relay/server/handshake.test.ts'
const front = 'test/relay/server/front.test.ts'
const attacks = 'test/relay/server/attacks.test.ts'
const gate = 'test/relay/loopback/gate.test.ts'
const sockets = 'test/relay/loopback/socket-side.test.ts'
const missing = 'test/cli/missing.slow.test.ts'
const tcpFleet = 'test/spark/tcp-fleet.spark-full.test.ts'
const fleetResume = 'test/relay/fleet/resume.slow.test.ts'
const fleetSpread = 'test/relay/fleet/spread.slow.test.ts'

/**
 * A row a million: together they take both cores for nearly three hours, and `--keep` lets them run on different days.
 * Seeds are drawn anew, as far from each other as no million reaches.
 */
function millionsOfSchedules(count: number): readonly Omit<Row, 'area'>[] {
  const first = Date.now() % 1_900_000_000
  return Array.from({ length: count }, (_, index) => ({
    what: `random schedules deliver every byte once and in order, or a named reset: million ${index + 1} of ${count}`,
    tests: [{ file: 'test/sim/one-relay.sim.test.ts' }, { file: 'test/sim/two-relays.sim.test.ts' }],
    environment: { SLR_SIM_SCHEDULES: '1000000', SLR_SIM_SEED: String(first + index * 10_000_000) },
  }))
}

function area(name: string, entries: readonly Omit<Row, 'area'>[]): readonly Row[] {
  return entries.map((entry) => ({ area: name, ...entry }))
}

export const rows: readonly Row[] = [
  ...area('Spark 3.5.7 and 4.3.0 through `submit`', [
    { what: 'shuffle with a known answer', tests: [{ file: traffic, name: /shuffle/ }] },
    { what: 'broadcast', tests: [{ file: traffic, name: /broadcasts/ }] },
    { what: '`cache()` read from another executor', tests: [{ file: traffic, name: /cached blocks/ }] },
    { what: '`collect()` of 50 MiB', tests: [{ file: traffic, name: /collects/ }] },
    { what: 'Python functions; `--jars`', tests: [{ file: traffic, name: /Python functions/ }] },
    {
      what: '`--py-files`, `--archives` of 300 MB, while heartbeats stay on time',
      tests: [{ file: traffic, name: /--archives|heartbeats/ }],
    },
    { what: 'adaptive execution', tests: [{ file: traffic, name: /adapts/ }] },
    { what: 'speculation', tests: [{ file: traffic, name: /speculative/ }] },
    { what: 'stage-level resource profiles', tests: [{ file: traffic, name: /resource profile/ }] },
    {
      what: 'event log written, and read back by a history server',
      tests: [{ file: history }],
    },
    { what: 'authentication and encryption on', tests: [{ file: traffic, name: /authentication/ }] },
    {
      what: 'the user’s `--conf`, SPARK_CONF_DIR with log4j2.properties, pod template',
      tests: [{ file: traffic, name: /SPARK_CONF_DIR/ }],
    },
    {
      what: 'executors’ logs linked from Spark’s UI',
      tests: [{ file: traffic, name: /log from Spark/ }, { file: sideBySide }],
    },
    { what: 'no task lost', tests: [{ file: traffic, name: /loses no task/ }] },
    {
      what: 'a failing job returns Spark’s own exit code',
      tests: [
        { file: life, name: /a program that fails/ },
        { file: limits, name: /a program that fails/ },
      ],
    },
    {
      what: 'dynamic allocation: 0 to N to 0 while the session stays open, no function left after 2 minutes',
      tests: [
        { file: life, name: /dynamic allocation/ },
        { file: `${agent}/settings/idle.spark-full.test.ts` },
      ],
    },
  ]),
  ...area('Isolation', [
    {
      what: '/proc/net shows only lo, as root and unprivileged',
      tests: [{ file: isolation, name: /only the loopback/ }],
    },
    {
      what: 'no address of the host, relay’s TCP port, 1.1.1.1 or 169.254.169.254 is reached',
      tests: [{ file: isolation, name: /reaches no address/ }],
    },
    { what: '/tmp of its own', tests: [{ file: isolation, name: /\/tmp of its own/ }] },
    {
      what: 'the same as an unprivileged uid',
      tests: [{ file: isolation, name: /as an unprivileged user/ }],
    },
    {
      what: 'Spark as an unprivileged uid, its work folders and its namespaces its own',
      tests: [{ file: otherMachines, name: /user without rights/ }],
    },
    {
      what: 'Spark with `net.ipv6.conf.all.disable_ipv6=1`',
      tests: [{ file: otherMachines, name: /IPv6/ }],
    },
  ]),
  ...area('Side by side', [
    {
      what: 'two `submit`s at once, their UIs fetched, ten `exec`s beside them',
      tests: [{ file: sideBySide }],
    },
    { what: 'ten `exec`s', tests: [{ file: exec, name: /runs ten/ }] },
    {
      what: 'a notebook by `agent --print-env`, three kernel restarts',
      tests: [{ file: notebook, name: /a notebook on Spark/ }],
    },
    { what: 'a Spark Connect client', tests: [{ file: notebook, name: /Connect client/ }] },
  ]),
  ...area('The facade', [
    {
      what: 'against the recordings of both versions',
      tests: [{ file: `${agent}/facade/recordings.test.ts` }],
    },
    {
      what: 'an independent Kubernetes client: list, watch, create, delete, patch, selectors',
      tests: [{ file: `${agent}/facade/kubernetes-client.slow.test.ts` }],
    },
    {
      what: 'real drivers of both versions: which pods they post, replace, trim and delete',
      tests: [{ file: realDriver }],
    },
    {
      what: 'a watch cut during ten pod ends loses none',
      tests: [{ file: `${agent}/facade/facade-watch.test.ts`, name: /cut during ten ends/ }],
    },
  ]),
  ...area('`exec` with programs that no one here wrote', [
    { what: 'iperf3 both ways and bidirectional', tests: [{ file: execPrograms, name: /iperf3/ }] },
    { what: 'redis-cli against redis-server', tests: [{ file: execPrograms, name: /Redis/ }] },
    { what: 'an HTTP server under autocannon', tests: [{ file: execPrograms, name: /HTTP server/ }] },
    {
      what: 'rsync of a 1 GiB file, equal checksums',
      tests: [{ file: execPrograms, name: /rsync/ }],
      environment: { SLR_TEST_RSYNC_MIB: '1024' },
    },
  ]),
  ...area('Wire and streams, simulated', [
    {
      what: 'any split of any frame sequence decodes to the same',
      tests: [{ file: 'test/relay/wire/decode.test.ts' }, { file: 'test/relay/wire/control.test.ts' }],
    },
    ...millionsOfSchedules(10),
    {
      what: 'faults in a row at three relays and their directory cost no stream: 4,000 runs of five',
      tests: [{ file: 'test/sim/soak.sim.test.ts' }],
      environment: { SLR_SIM_SCHEDULES: '1000000' },
    },
    {
      what: 'late frames of a retired route, a lost FIN, a lost RESET, crossing resumes',
      tests: [{ file: 'test/sim/faults.test.ts' }],
    },
    {
      what: 'a second implementation, written from the wire page, against itself and ours, links cut on the way',
      tests: [{ file: 'test/second/second.slow.test.ts' }],
    },
    { what: 'frozen wire numbers', tests: [{ file: 'test/relay/wire/frozen.test.ts' }] },
  ]),
  ...area('Deaths', [
    {
      what: 'what is behind a stream does not notice a relay that was away for 20 s',
      tests: [{ file: relayAway }],
    },
    {
      what: 'relay SIGKILLed and back after 10 s in mid-shuffle: right answer, no failed task',
      tests: [{ file: relayLoss, name: /killed in mid-shuffle/ }],
    },
    {
      what: 'its restart made to fail for good: a clear error within 60 s',
      tests: [{ file: relayLoss, name: /cannot be started again/ }],
    },
    {
      what: 'agent, relay, shim, JVM or spark-submit SIGKILLed: nothing left after 10 s, no file after the next start',
      tests: [{ file: deaths, name: /after SIGKILL/ }],
    },
    { what: 'the same of a function alone', tests: [{ file: ends }] },
    { what: 'Ctrl-C ends in order', tests: [{ file: deaths, name: /a signal to submit/ }] },
  ]),
  ...area('Bad input, bad luck', [
    {
      what: 'wrong, expired, other application’s, missing token, key outside its prefix: refused, counted, nothing allocated',
      tests: [{ file: handshake, name: /a token/ }, { file: 'test/relay/token/verify.test.ts' }],
    },
    {
      what: 'another uid at the facade',
      tests: [
        { file: facade, name: /without the token/ },
        { file: badLuck, name: /strangers/ },
      ],
    },
    {
      what: 'another uid at the socket',
      tests: [
        { file: 'test/relay/server/listen.test.ts', name: /this user only/ },
        { file: badLuck, name: /strangers/ },
      ],
    },
    {
      what: 'garbage, truncated, oversized, unknown frames; HTTP to the link port; a slow handshake',
      tests: [
        { file: handshake, name: /bad frames/ },
        { file: front, name: /garbage|slow|HTTP/ },
      ],
    },
    {
      what: 'option or variable out of range, unknown option: named, exit 2',
      tests: [{ file: 'test/cli/program.test.ts' }, { file: 'test/cli/read-options.test.ts' }],
    },
    {
      what: 'no Java, Spark, Python, namespaces, free port, descriptors: doctor’s sentence, exit 2, before anything starts',
      tests: [
        { file: missing },
        { file: 'test/cli/missing-platform.slow.test.ts' },
        { file: `${agent}/doctor/doctor.test.ts` },
        { file: `${agent}/local/probe-verdict.test.ts` },
      ],
    },
    {
      what: 'the program sets its own master, or 60 s pass without a call: said so',
      tests: [
        { file: settings, name: /a master of the user/ },
        { file: limits, name: /sets its own master/ },
      ],
    },
    {
      what: 's3a, jdbc, kafka while `--egress none`: warned',
      tests: [
        { file: settings, name: /reaches outside/ },
        { file: badLuck, name: /point outside/ },
      ],
    },
    {
      what: 'executor’s JVM dies at start, or never registers: Failed with its last lines, the job ends after few starts',
      tests: [
        { file: starts },
        { file: life, name: /dies at its start/ },
        { file: limits, name: /--start-deadline/ },
      ],
    },
    {
      what: 'executor killed later: gone at once, next POST within 2 s, tasks run again',
      tests: [
        { file: pods, name: /ran and ended/ },
        { file: shimLife, name: /was killed/ },
        { file: realDriver, name: /replaces what is gone/ },
        { file: deaths, name: /of one/ },
        { file: badLuck, name: /peer dies/ },
      ],
    },
    {
      what: 'peer’s port closed, address unknown, peer gone: reset within 50 ms of knowing',
      tests: [
        { file: sockets, name: /resets the client|reaches the program as a reset/ },
        { file: badLuck, name: /dial to nobody/ },
      ],
    },
    {
      what: 'what Spark makes of a dead peer, with authentication and without',
      tests: [
        { file: deaths, name: /dies with shuffle output/ },
        { file: badLuck, name: /peer dies/ },
      ],
    },
    {
      what: 'another machine or uid at a wildcard listener: closed at once, counted',
      tests: [
        { file: gate, name: /closes and counts|turns away/ },
        { file: badLuck, name: /strangers/ },
      ],
    },
    {
      what: 'work folder full: the cause is seen in the driver’s log',
      tests: [
        { file: shimLife, name: /folder is full/ },
        { file: badLuck, name: /folder that is full/ },
      ],
    },
  ]),
  ...area('Faults: three relays, Redis, real networks', [
    {
      what: 'every row of the fault table with checked streams: relays killed, hung, replaced, links reset, silent, slow, Redis away, endpoints frozen or killed',
      tests: [{ file: 'test/faults/rows.slow.test.ts' }],
    },
    {
      what: '1,000 endpoints at once, then idle streams over them',
      tests: [{ file: 'test/faults/load.slow.test.ts' }],
    },
    {
      what: 'a Spark job with six executors through a killed relay, a rolling replacement and a silent link',
      tests: [{ file: 'test/faults/spark.spark.test.ts' }],
    },
    {
      what: 'what alerts, dashboard and runbook name is in a real scrape',
      tests: [{ file: 'test/infra/metrics.test.ts' }],
    },
  ]),
  ...area('Attacks', [
    {
      what: 'another application opens, guesses labels, resumes, watches, retires: nothing',
      tests: [{ file: attacks, name: /an endpoint of another application/ }],
    },
    {
      what: 'a token replayed, of a retired generation, of a removed key; an executor as a driver',
      tests: [{ file: attacks, name: /a token/ }],
    },
    {
      what: 'floods of keepalives and labels, credit overrun, data for streams that are over',
      tests: [{ file: attacks, name: /an endpoint with a good token/ }],
    },
    {
      what: 'compressed bombs, slow and huge headers, 10,000 half-open sockets: an endpoint attaches within 1 s',
      tests: [
        { file: attacks, name: /without a token/ },
        { file: 'test/relay/server/run.slow.test.ts', name: /10,000 sockets/ },
      ],
    },
    {
      what: 'generated sequences of frames: 10 million crash, hang and leave nothing',
      tests: [{ file: 'test/relay/server/generated-frames.sim.test.ts' }],
      environment: { SLR_TEST_FRAMES: '10000000' },
    },
    {
      what: 'TLS unless loopback, a Unix socket or --plain; private CA; expired and wrong-host certificates',
      tests: [
        { file: 'test/relay/server/listen.test.ts', name: /without TLS/ },
        { file: front, name: /wrong CA/ },
      ],
    },
  ]),
  ...area('Several relays', [
    {
      what: 'a directory in Redis: killed, hung, emptied, TLS, Sentinel, Cluster',
      tests: [{ file: 'test/relay/directory/redis.slow.test.ts' }],
    },
    {
      what: 'a payload byte crosses exactly one relay',
      tests: [{ file: fleetResume, name: /exactly one relay/ }],
    },
    {
      what: 'relays die, hang, leave one after the other: every byte once, pauses within bounds',
      tests: [{ file: fleetResume }],
    },
    {
      what: 'Redis away, empty on return, failed over; one relay cut off from it',
      tests: [{ file: 'test/relay/fleet/directory.slow.test.ts' }],
    },
    {
      what: '200 attachments to 4 relays: at most 1.3 × the mean; 1,000 at once within 10 s',
      tests: [{ file: fleetSpread, name: /many endpoints/ }, { file: 'test/faults/load.slow.test.ts' }],
    },
    { what: 'Spark’s functions, without a network, over two relays on TCP', tests: [{ file: tcpFleet }] },
    { what: '`relay --workers N`', tests: [{ file: fleetSpread, name: /--workers/ }] },
  ]),
  ...area('Package', [
    {
      what: 'packed here, installed elsewhere, `npx spark-lambda-relay --help`',
      tests: [{ file: 'test/package.slow.test.ts' }],
    },
    {
      what: 'an older Node gets one sentence',
      tests: [
        { file: 'test/bin/spark-lambda-relay.test.ts' },
        { file: 'test/package.slow.test.ts', name: /on an older Node/ },
      ],
    },
    {
      what: '`npm run demo`: the right answer, the shuffle matrix and the cost within 180 s',
      tests: [{ file: 'test/spark/demo.spark-full.test.ts' }],
    },
  ]),
]
