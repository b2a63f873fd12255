import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, renameSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { createConnection } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { codeOf, NomqError } from "@nomq/core";
import type { Hono } from "hono";
import { controlSocketIn } from "./control-socket.ts";

/** A gateway's control socket: HTTP on a Unix socket that only its owner may use. */
export interface ControlServer extends AsyncDisposable {
  readonly path: string;
}

/** What `sun_path` of Linux holds, less its final NUL; macOS has four bytes less. */
const LONGEST_PATH = process.platform === "darwin" ? 103 : 107;

/**
 * Serves `app` on `FOLDER/control.sock`, mode 0600. The socket of a process that died is replaced; where a gateway
 * answers, it rejects with `data-in-use`.
 */
export async function openControlServer(folder: string, app: Hono): Promise<ControlServer> {
  const path = controlSocketIn(folder);
  const draft = `${path}.${randomBytes(3).toString("hex")}`;
  if (Buffer.byteLength(draft) > LONGEST_PATH) {
    const most = LONGEST_PATH - (Buffer.byteLength(draft) - Buffer.byteLength(folder));
    throw new NomqError(
      "listen-failed",
      `the path ${folder} is too long for a socket; at most ${most} bytes`,
    );
  }
  if (await answers(path)) {
    throw new NomqError(
      "data-in-use",
      `a gateway already runs on ${folder}; stop it, or give --data another folder`,
    );
  }
  // createAdaptorServer types its result for HTTP/2 as well; without options it is node:http's server.
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await listen(server, draft);
  const ino = place(server, draft, path);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
    if (inodeOf(path) === ino) rmSync(path, { force: true });
  };
  return {
    path,
    [Symbol.asyncDispose]: () => {
      closing ??= close();
      return closing;
    },
  };
}

/** The socket takes its name with its mode already narrow, over whatever a dead process left. Says its inode. */
function place(server: Server, draft: string, path: string): number {
  try {
    chmodSync(draft, 0o600);
    renameSync(draft, path);
    return lstatSync(path).ino;
  } catch (error) {
    // A server that is left open would keep the process.
    server.close();
    rmSync(draft, { force: true });
    const text = `cannot open the control socket ${path} (${codeOf(error)}): is something else in its place?`;
    throw new NomqError("listen-failed", text, { cause: error });
  }
}

async function listen(server: Server, path: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, () => resolve());
    });
  } catch (error) {
    const text = `cannot open the control socket ${path} (${codeOf(error)})`;
    throw new NomqError("listen-failed", text, { cause: error });
  }
}

/** Whether a living process listens there. */
async function answers(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(!["ENOENT", "ECONNREFUSED", "ENOTSOCK"].includes(codeOf(error))));
  });
}

function inodeOf(path: string): number | undefined {
  try {
    return lstatSync(path).ino;
  } catch {
    return undefined;
  }
}
