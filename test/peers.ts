import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { describe, test } from "vitest";

/** A Debian package of `scripts/peers.txt` and the commands it brings. */
interface PeerPackage {
  readonly name: string;
  readonly commands: readonly string[];
}

/** The one command that brings the missing peers; said wherever a suite is skipped. */
const INSTALL_COMMAND = "sudo scripts/install-peers";

const packages: readonly PeerPackage[] = readFileSync(
  new URL("../scripts/peers.txt", import.meta.url),
  "utf8",
)
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [name = "", ...commands] = line.split(" ");
    return { name, commands };
  });

/** Packages of the list whose commands are not all here. */
function missingPeers(names: readonly string[]): readonly string[] {
  return names.filter((name) => {
    const found = packages.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is not in scripts/peers.txt`);
    return !found.commands.every(isCommand);
  });
}

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

function isCommand(command: string): boolean {
  // What a package brings may also be no program but a file: a library.
  if (isAbsolute(command)) return existsSync(command);
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
