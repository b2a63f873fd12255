import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Program, run, type TestFolder, testFolder } from "../../packages/gateway/test/launch.ts";
import { openCoapEndpoint } from "./coap-endpoint.ts";
import { EMPTY } from "./coap-wire.ts";
import { freePorts } from "./free-ports.ts";

/** One message that Debian's coap-client sent or got, as its trace shows it. */
export interface Traced {
  readonly way: "sent" | "received";
  /** CON, NON, ACK or RST. */
  readonly type: string;
  /** `2.05`, `GET`, `0.00`. */
  readonly code: string;
  readonly messageId: string;
  /** Hexadecimal. */
  readonly token: string;
  /** As printed: `Content-Format:application/json`, `Observe:2`, `Max-Age:59`. */
  readonly options: readonly string[];
  /** Text where it is printable. */
  readonly payload: string;
}

/** What one run of coap-client brought. */
export interface CoapRun {
  /** Code of the last response; empty when none came. */
  readonly code: string;
  /** All that it wrote as payload. */
  readonly body: Buffer;
  readonly trace: readonly Traced[];
  /** The options of the last response. */
  readonly options: readonly string[];
}

/** How coap-client is called. */
export interface CoapCall {
  /** Default `get`. */
  readonly method?: "get" | "put" | "post" | "delete" | "fetch";
  /** Payload, from a file. */
  readonly body?: string | Buffer;
  /** More arguments: `-b 64`, `-N`, `-l 20%`. */
  readonly more?: readonly string[];
  /** IPv4 address of the server. Default 127.0.0.1. */
  readonly host?: string;
}

/** Seconds after which coap-client gives up; its repetitions take 93 at most. */
const PATIENCE = "100";

/**
 * Where the first block of a value comes separately, as a busy machine sends it, libcoap 4.3.1 says this, acknowledges it and
 * asks for no other block (mended by obgm/libcoap#1440).
 */
const FORGETS_BLOCKS = "large body receive internal issue";
/** A server that answers nothing in time is not a busy machine. */
const MOST_RUNS = 20;

/** Runs Debian's coap-client on a resource to its end; a GET whose blocks it forgets once more. */
export async function coapClient(port: number, uri: string, call: CoapCall = {}): Promise<CoapRun> {
  for (let runs = 1; runs < MOST_RUNS; runs += 1) {
    const ran = await runCoapClient(port, uri, call);
    if (ran !== "forgot") return ran;
  }
  throw new Error(`the first block of ${uri} always came separately`);
}

async function runCoapClient(port: number, uri: string, call: CoapCall): Promise<CoapRun | "forgot"> {
  using folder = testFolder();
  const { method = "get", body, more = [], host = "127.0.0.1" } = call;
  const file = body === undefined ? [] : ["-f", bodyFile(folder, body)];
  const out = folder.file("out", "");
  const all = ["-v", "7", "-B", PATIENCE, "-m", method, ...file, "-o", out, ...more];
  await using program = run("coap-client-notls", [...all, `coap://${host}:${port}/${uri}`]);
  const ended = program.ended.then(({ stdout }) => stdout);
  const forgot = program.said(FORGETS_BLOCKS).then(
    () => "forgot" as const,
    () => ended,
  );
  const stdout = await (method === "get" ? Promise.race([ended, forgot]) : ended);
  if (stdout === "forgot") return stdout;
  const trace = traceOf(stdout);
  const last = trace.findLast(({ way, code }) => way === "received" && code !== EMPTY);
  return { code: last?.code ?? "", body: readFileSync(out), trace, options: last?.options ?? [] };
}

function bodyFile(folder: TestFolder, body: string | Buffer): string {
  const path = join(folder.path, "body");
  writeFileSync(path, body);
  return path;
}

/** A coap-client that observes; disposing ends it without a word. */
export interface CoapObserver extends AsyncDisposable {
  /** The messages so far. */
  trace(): readonly Traced[];
  /** Responses so far, the first included. */
  notifications(): readonly Traced[];
  /** Bodies so far, whole, one a notification; they may hold no line feed. */
  bodies(): readonly string[];
  /** Lets it cancel the observation and end, as Ctrl-C does; resolves when it has. */
  cancel(): Promise<void>;
}

/** Starts coap-client observing a resource, for longer than any test. */
export function coapObserve(
  port: number,
  uri: string,
  { host = "127.0.0.1", more = [] }: Pick<CoapCall, "host" | "more"> = {},
): CoapObserver {
  const folder = testFolder();
  const out = folder.file("out", "");
  // Blocks are put together before they are handed over (3); a line feed ends each.
  const all = ["-v", "7", "-L", "3", "-w", "-o", out, "-s", "600", ...more];
  const url = `coap://${host}:${port}/${uri}`;
  const program: Program = run("stdbuf", ["-oL", "coap-client-notls", ...all, url]);
  const trace = (): readonly Traced[] => traceOf(program.stdout());
  return {
    trace,
    notifications: () => trace().filter(({ way, code }) => way === "received" && code !== EMPTY),
    bodies: () => readFileSync(out, "utf8").split("\n").slice(0, -1),
    async cancel() {
      program.signal("SIGINT");
      await program.ended;
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

const MESSAGE = /^v:1 t:(\w+) c:([\w.]+) i:(\w+) \{(\w*)\} \[ ?(.*?) ?\](?: :: (?:'(.*)'|(.*)))?$/;

/** Reads a trace: a line says which way, the next shows the message. */
function traceOf(output: string): Traced[] {
  const traced: Traced[] = [];
  let way: Traced["way"] | undefined;
  for (const line of output.split("\n")) {
    const moved = / : (sent|received) \d+ bytes$/.exec(line)?.[1];
    const found = MESSAGE.exec(line);
    if (found !== null && way !== undefined) {
      const [, type = "", code = "", messageId = "", token = "", options = "", text, other] = found;
      const each = options === "" ? [] : options.split(", ");
      traced.push({ way, type, code, messageId, token, options: each, payload: text ?? other ?? "" });
    }
    way = moved === "sent" || moved === "received" ? moved : undefined;
  }
  return traced;
}

/** Debian's coap-server on 127.0.0.1: `time` changes each second, `example_data` and new resources take PUT. */
export interface CoapServer extends AsyncDisposable {
  readonly port: number;
  /** URL of a resource. */
  url(path: string): string;
}

/** Starts Debian's coap-server and resolves when it answers. */
export async function startCoapServer(
  more: readonly string[] = [],
  port: number | undefined = undefined,
): Promise<CoapServer> {
  const [free = 0] = port === undefined ? await freePorts(1) : [];
  const own = port ?? free;
  const program = run("coap-server-notls", ["-A", "127.0.0.1", "-p", String(own), "-d", "100", ...more]);
  const up = await isUp(own, program);
  if (!up) throw new Error(`coap-server did not start: ${program.stderr()}${program.stdout()}`);
  return {
    port: own,
    url: (path) => `coap://127.0.0.1:${own}/${path}`,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** Asks until it answers a ping (RFC 7252 section 4.3), or the program has ended. */
async function isUp(port: number, program: Program): Promise<boolean> {
  await using endpoint = await openCoapEndpoint(port);
  const reset = endpoint.next(({ type }) => type === "RST").then(() => true);
  const ended = program.ended.then(() => false);
  const again = setInterval(() => endpoint.send({ code: EMPTY }), 20);
  try {
    return await Promise.race([reset, ended]);
  } finally {
    clearInterval(again);
  }
}

/** A text of so many bytes in which every place can be told from its neighbours. */
export function longText(bytes: number, salt = ""): string {
  let text = "";
  for (let at = 0; text.length < bytes; at += 1) text += `${salt}${at},`;
  return text.slice(0, bytes);
}
