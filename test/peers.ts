import { execFileSync } from "node:child_process";
import { describe, test } from "vitest";
import { missingPeers } from "./real/peer-packages.ts";

/** The one command that brings the missing peers; said wherever a suite is skipped. */
const INSTALL_COMMAND = "sudo scripts/install-peers";

/** Whether this user may make a network namespace (root, or where user namespaces are allowed). */
export function canUnshareNetwork(): boolean {
  try {
    execFileSync("unshare", [...UNSHARE_NETWORK, "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Arguments of `unshare` for a network namespace of one's own. */
export const UNSHARE_NETWORK: readonly string[] = process.getuid?.() === 0 ? ["-n"] : ["-r", "-n"];

/**
 * A suite that needs other people's programs. Where they are missing it is skipped under a name that says how to
 * get them; with `CI` set it fails, so that a build never passes by having tested less.
 */
export function describeWithPeers(name: string, needs: readonly string[], suite: () => void): void {
  const missing = missingPeers(needs);
  if (missing.length === 0) {
    describe(name, suite);
    return;
  }
  const lacking = `${name} (needs ${missing.join(", ")}: ${INSTALL_COMMAND})`;
  if (process.env["CI"]) {
    test(lacking, () => {
      throw new Error(`${missing.join(", ")} missing although CI is set. Run: ${INSTALL_COMMAND}`);
    });
  } else {
    describe.skip(lacking, suite);
  }
}

/**
 * A suite over a real ejabberd, which is no peer of every test run: it takes half a minute to install. Without
 * `NOMQ_EJABBERD` it is skipped under a name that says how to run it.
 */
export function describeWithEjabberd(name: string, suite: () => void): void {
  if (process.env["NOMQ_EJABBERD"]) describe(name, suite);
  else describe.skip(`${name} (with ejabberd and openssl installed: NOMQ_EJABBERD=1)`, suite);
}
