import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** One message as Debian's mosquitto_sub printed it. */
export interface Printed {
  readonly topic: string;
  readonly text: string;
  readonly qos: number;
  readonly retain: boolean;
  /** MQTT 5 Message Expiry Interval in seconds. */
  readonly expiry?: number;
  /** MQTT 5 Content Type; absent: it was empty. */
  readonly contentType?: string;
  /** MQTT 5 user properties as mosquitto_sub prints them: `name:value name:value`. */
  readonly properties: string;
}

export interface Subscriber extends AsyncDisposable {
  /** Everything printed so far, in order. */
  readonly printed: readonly Printed[];
  /** Resolves when this many messages have been printed. */
  atLeast(count: number): Promise<readonly Printed[]>;
  /** SIGSTOP: it stays connected and reads nothing; SIGCONT: it goes on. */
  signal(name: "SIGSTOP" | "SIGCONT"): void;
}

export interface MqttAddress {
  readonly host: string;
  readonly port: number;
}

const FORMAT = "MSG %q %r [%E] [%C] [%P] %t %x";
const LINE = /^MSG (\d) (\d) \[(\d*)\] \[(.*?)\] \[(.*?)\] (.*) ([0-9A-Fa-f]*)$/;

/** Starts Debian's mosquitto_sub and resolves when the broker has granted the subscription. */
export async function subscribe(
  at: MqttAddress,
  filter: string,
  more: readonly string[] = [],
): Promise<Subscriber> {
  const args = [
    "-h",
    at.host,
    "-p",
    String(at.port),
    "-t",
    filter,
    "-V",
    "mqttv5",
    "-d",
    "-F",
    FORMAT,
    ...more,
  ];
  const child = spawn("stdbuf", ["-oL", "mosquitto_sub", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const printed: Printed[] = [];
  const waiting = new Set<() => void>();
  const granted = Promise.withResolvers<void>();
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line.includes("received SUBACK")) granted.resolve();
    const message = parse(line);
    if (message === undefined) return;
    printed.push(message);
    for (const look of waiting) look();
  });
  child.once("exit", (code) => granted.reject(new Error(`mosquitto_sub ended with ${code}: ${said}`)));
  await granted.promise;
  return {
    printed,
    atLeast: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (printed.length < count) return;
          waiting.delete(look);
          resolve(printed);
        };
        waiting.add(look);
        look();
      }),
    signal: (name) => void child.kill(name),
    [Symbol.asyncDispose]: () => end(child),
  };
}

/** Runs Debian's mosquitto_pub to its end; rejects with what it said when it fails. */
export async function publish(
  at: MqttAddress,
  topic: string,
  message: string,
  more: readonly string[] = [],
): Promise<void> {
  const child = spawn(
    "mosquitto_pub",
    ["-h", at.host, "-p", String(at.port), "-t", topic, "-m", message, ...more],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  // The exit code, by the contract of the "exit" event.
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}: ${said}`);
}

function parse(line: string): Printed | undefined {
  const found = LINE.exec(line);
  if (found === null) return undefined;
  const [, qos = "", retain, expiry = "", contentType = "", properties = "", topic = "", hex = ""] = found;
  return {
    topic,
    text: Buffer.from(hex, "hex").toString("utf8"),
    qos: Number(qos),
    retain: retain === "1",
    ...(expiry === "" ? {} : { expiry: Number(expiry) }),
    ...(contentType === "" ? {} : { contentType }),
    properties,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  // mosquitto_sub 2.0 may lock itself up in its handler of SIGTERM.
  child.kill("SIGKILL");
  await gone;
}
