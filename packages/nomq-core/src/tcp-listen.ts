import type { Server } from "node:net";
import { addressText } from "./address.ts";
import { codeOf, NomqError } from "./errors.ts";

/** Where a server is to listen. */
export interface TcpListen {
  /** As it was written, for errors. */
  readonly url: string;
  /** Without brackets. `::` takes both families; where IPv6 is off, it is `0.0.0.0`. */
  readonly host: string;
  readonly port: number;
}

/**
 * Lets a server of `node:net`, `node:http` or `node:https` listen. Resolves with `HOST:PORT` as bound; rejects with
 * `port-in-use` or `listen-failed`, naming the URL.
 */
export async function listenOnTcp(server: Server, at: TcpListen): Promise<string> {
  try {
    await bind(server, at);
  } catch (error) {
    const code = codeOf(error);
    if (at.host === "::" && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL")) {
      return await listenOnTcp(server, { ...at, host: "0.0.0.0" });
    }
    if (code === "EADDRINUSE") {
      throw new NomqError("port-in-use", `${at.url} is taken by another program`, { cause: error });
    }
    throw new NomqError("listen-failed", `${at.url} cannot be opened (${code})`, { cause: error });
  }
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new NomqError("listen-failed", "no port was bound");
  return addressText({ host: bound.address, port: bound.port });
}

async function bind(server: Server, { host, port }: TcpListen): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  // Errors of a listening server (too many open files) concern one connection, which never came.
  server.on("error", () => undefined);
}
