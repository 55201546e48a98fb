/**
 * The command line: finds the command, reads its options, runs it, and turns whatever happens
 * into an exit code. Used by main.ts and by tests.
 */
import { Command as CommanderCommand, CommanderError, Option as CommanderOption } from 'commander'
import { type Command, commands, otherVariables } from './commands.ts'
import { UsageError } from './errors.ts'
import { describeError, exitCodeOf, exitCodes } from './exit.ts'
import { descriptionOf, flagsOf } from './help.ts'
import { createLogger, type LogOptions } from './log.ts'
import type { Option } from './options/option.ts'
import { type Given, readOptions, unknownVariables } from './read-options.ts'
import { selfCommand } from './self.ts'
import { programVersion } from './version.ts'

/** The world as the program sees it. */
export interface World {
  /** Without node and script. */
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly writeOut: (text: string) => void
  readonly writeError: (text: string) => void
}

/** Runs the command that `argv` names. Answers the exit code, never rejects. */
export async function runProgram(world: World): Promise<number> {
  try {
    let exitCode: number = exitCodes.done
    const program = new CommanderCommand('spark-lambda-relay')
      .description('Runs unmodified Apache Spark on functions that dial out to a relay.')
      .version(programVersion(), '-V, --version', 'prints the version')
      .helpOption('-h, --help', 'explains')
      .helpCommand(false)
      .enablePositionalOptions()
    forwardOutput(program, world)
    for (const command of commands) {
      program.addCommand(
        asCommander(command, world, async (given, rest) => {
          exitCode = await runCommand(command, given, rest, world)
        }),
        { hidden: command.hidden },
      )
    }
    program.action((_options: unknown, self: CommanderCommand) => {
      const names = commands.filter((command) => !command.hidden).map((command) => command.name)
      const [first] = self.args
      const problem = first === undefined ? 'no command was given' : `there is no command ${first}`
      throw new UsageError('unknown', `${problem}; the commands are ${names.join(', ')} (see --help)`)
    })
    program.allowExcessArguments()
    await program.parseAsync([...world.argv], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return reportCommanderError(error, world)
    world.writeError(describeError(error))
    return exitCodeOf(error)
  }
}

async function runCommand(
  command: Command,
  given: Given,
  rest: readonly string[],
  world: World,
): Promise<number> {
  const options: Record<string, unknown> = readOptions(command.table, given, world.environment)
  if (command.rest !== undefined) {
    if (rest.length === 0) throw new UsageError('absent', command.rest.absent)
    options[command.rest.key] = rest
  }
  if (given.redis?.some((text) => /:\/\/[^/@]*:[^/@]+@/.test(text))) {
    throw new UsageError(
      'value',
      '--redis: a password on a command line is seen by everyone on this machine; put the URL into SLR_REDIS',
    )
  }
  const logger = createLogger(command.name, logOptionsOf(options))
  for (const name of unknownVariables(
    commands.map(({ table }) => table),
    otherVariables,
    world.environment,
  )) {
    logger.warn({ variable: name }, 'this environment variable means nothing to any command')
  }
  return await command.run(options as never, { logger, selfCommand, version: programVersion() })
}

/** Commands that print their result and log nothing have no log options. */
function logOptionsOf(options: Record<string, unknown>): LogOptions {
  const { logLevel = 'warn', logFormat = 'auto' } = options as Partial<LogOptions>
  return { logLevel, logFormat }
}

function asCommander(
  command: Command,
  world: World,
  run: (given: Given, rest: readonly string[]) => Promise<void>,
): CommanderCommand {
  const built = new CommanderCommand(command.name)
    .description(command.says)
    .helpOption('-h, --help', 'explains')
  forwardOutput(built, world)
  for (const [key, option] of Object.entries(command.table)) built.addOption(asCommanderOption(key, option))
  if (command.rest === undefined) built.allowExcessArguments(false)
  else built.argument('[arguments...]').usage(`[options] -- <${command.rest.shown}>`).passThroughOptions()
  built.addHelpText('after', `\nExample:\n  ${command.example}`)
  built.action(async () => {
    await run(givenOf(built, command), command.rest === undefined ? [] : built.args)
  })
  return built
}

function asCommanderOption(key: string, option: Option): CommanderOption {
  const made = new CommanderOption(flagsOf(option), descriptionOf(option)).hideHelp(option.hidden)
  // Texts are gathered as they come, and judged in one place together with the environment's.
  if (option.value !== undefined) {
    made.argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), text])
  }
  made.attributeName = () => key
  return made
}

function givenOf(built: CommanderCommand, command: Command): Given {
  const texts = Object.entries(built.opts() as Record<string, true | readonly string[]>)
  return Object.fromEntries(
    texts
      .filter(([key]) => key in command.table)
      .map(([key, value]) => [key, value === true ? ['true'] : value]),
  )
}

/** Nothing of commander's ends the process or writes by itself. */
function forwardOutput(command: CommanderCommand, world: World): void {
  command.exitOverride().configureOutput({
    writeOut: world.writeOut,
    writeErr: () => {}, // the error itself reaches runProgram
  })
}

function reportCommanderError(error: CommanderError, world: World): number {
  if (error.exitCode === 0) return exitCodes.done // --help and --version have written what was asked for
  const sentence = error.message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '')
  world.writeError(`spark-lambda-relay: ${sentence}; see --help\n`)
  return exitCodes.wrongUse
}
