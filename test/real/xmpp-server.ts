import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";

/** Everybody whom a server knows unless it is set up otherwise: password by bare JID. */
export const XMPP_USERS: Readonly<Record<string, string>> = {
  "gw@localhost": "gwpw",
  "alice@localhost": "alicepw",
  "bob@localhost": "bobpw",
};

/** An XMPP server of the test's own on 127.0.0.1. Disposing kills it and removes its folder. */
export interface XmppServer extends AsyncDisposable {
  readonly host: "127.0.0.1";
  /** Client connections, with STARTTLS where TLS is on. */
  readonly port: number;
  /** `xmpp://127.0.0.1:PORT`. */
  readonly service: string;
  /** `xmpps://127.0.0.1:PORT`; only with TLS. */
  readonly tlsService: string;
  /** `ws://127.0.0.1:PORT/PATH`. */
  readonly webSocket: string;
  readonly domain: "localhost";
  readonly pubsub: "pubsub.localhost";
  /** The certificate that signs itself, for `localhost` and `*.localhost`, PEM. */
  readonly ca: string;
  /** What it wrote into its log. */
  log(): string;
  /** Ends it and resolves when it has ended: SIGTERM says farewell, SIGKILL does not. SIGSTOP and SIGCONT only stop it. */
  end(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again after an end: same ports, users, nodes and items. */
  start(): Promise<void>;
}

/** Where one lives. */
export interface XmppServerPlace {
  readonly folder: string;
  /** Ports. */
  readonly c2s: number;
  readonly directTls: number;
  readonly http: number;
}

/** How one server differs from another. */
export interface XmppServerKind {
  /** Starts it and resolves when it can be used. */
  launch(): Promise<ChildProcess>;
  /** Path of its WebSockets. */
  readonly webSocketPath: string;
  readonly ca: string;
  log(): string;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts the server of that place. */
export async function startXmppServer(
  { folder, c2s, directTls, http }: XmppServerPlace,
  { ca, launch, log, webSocketPath }: XmppServerKind,
): Promise<XmppServer> {
  let child = await launch();
  return {
    host: "127.0.0.1",
    port: c2s,
    service: `xmpp://127.0.0.1:${c2s}`,
    tlsService: `xmpps://127.0.0.1:${directTls}`,
    webSocket: `ws://127.0.0.1:${http}${webSocketPath}`,
    domain: "localhost",
    pubsub: "pubsub.localhost",
    ca,
    log,
    end: (signal = "SIGTERM") => endServer(child, signal),
    signal: (name) => void child.kill(name),
    async start() {
      if (child.exitCode === null && child.signalCode === null) return;
      child = await launch();
    },
    async [Symbol.asyncDispose]() {
      await endServer(child, "SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Lets it end with the test's own process, however that ends by itself. */
export function endWithUs(child: ChildProcess): void {
  running.add(child);
  child.once("close", () => running.delete(child));
}

/** Resolves when it has ended. */
export async function endServer(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  // One that was stopped takes no other signal than SIGKILL.
  if (signal !== "SIGKILL") child.kill("SIGCONT");
  await ended;
}
