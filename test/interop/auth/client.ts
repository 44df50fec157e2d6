import type { ToolName } from '../find.ts'
import type { Image } from '../images.ts'
import { type RunOptions, type RunResult, runTool } from '../run.ts'

/** What a user sees of a command: whether it worked, and its words. */
export interface Outcome {
  exitCode: number
  /** Both streams. */
  output: string
}

/** A client of registries with a place of its own for credentials; it talks to one node. */
export interface AuthClient {
  /** Keeps the credential; some clients try it first, and the outcome says so. */
  login(user: string, password: string): Promise<Outcome>
  logout(): Promise<Outcome>
  /** Pushes its one image, under a tag of its own choice. */
  push(repository: string): Promise<Outcome>
  /** Pulls what {@link push} pushed, asking the registry anew. */
  pull(repository: string): Promise<Outcome>
  /** Brings what was pushed to one repository into another; the client asks for mounts on the way. */
  mount?(from: string, to: string): Promise<Outcome>
  /** What it keeps of a login, as text; absent where it keeps nothing. */
  stored?(): Promise<string>
  close(): Promise<void>
}

/** A client as the table of scenarios wants it. */
export interface ClientInit {
  name: string
  tools: readonly ToolName[]
  /** Whether it keeps a token that can be taken back instead of the password. */
  keepsToken?: true
  /** False: it sends every blob, even one that the registry has elsewhere, and its {@link AuthClient.mount} is absent. */
  mounts?: false
  /** Words for a refused credential, and for a right that is not there. */
  says: { wrong: RegExp; denied: RegExp }
  /**
   * @param host - `127.0.0.1:<port>` of the node
   * @param image - what it pushes; default: one of its own, small
   */
  start(host: string, image?: Image): Promise<AuthClient>
}

/** Nothing has more to do than a few requests or, where a session is made to last, a minute; what lasts longer hangs. */
const longest = 300_000

/** Every exit code is an answer here. */
const anyExitCode = Array.from({ length: 256 }, (_, code) => code)

/** Runs a program to its end, whatever that is. */
export async function outcomeOf(tool: ToolName, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return shown(await runTool(tool, args, lenient(options)))
}

/** For clients that have a function of their own to run them. */
export function lenient(options: RunOptions = {}): RunOptions {
  return { timeout: longest, exitCodes: anyExitCode, ...options }
}

export function shown(result: RunResult): Outcome {
  return { exitCode: result.exitCode, output: result.stdout + result.stderr }
}
