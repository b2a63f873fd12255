import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { UNSHARE_NETWORK } from "../peers.ts";
import { root } from "./pages.ts";

/** Runs a TypeScript file in a network namespace of its own, where every port is free; resolves with what it printed. */
export async function runInNamespace(script: string): Promise<string> {
  const inside = `ip link set lo up && exec "${process.execPath}" --conditions=@nomq/source "${script}"`;
  const { stdout } = await promisify(execFile)("unshare", [...UNSHARE_NETWORK, "sh", "-c", inside], {
    cwd: root,
  });
  return stdout;
}
