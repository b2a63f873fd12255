import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/** A Debian package of `scripts/peers.txt` and the commands it brings. */
interface PeerPackage {
  readonly name: string;
  readonly commands: readonly string[];
}

const packages: readonly PeerPackage[] = readFileSync(
  new URL("../../scripts/peers.txt", import.meta.url),
  "utf8",
)
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [name = "", ...commands] = line.split(" ");
    return { name, commands };
  });

/** Packages of the list whose commands are not all here. */
export function missingPeers(names: readonly string[]): readonly string[] {
  return names.filter((name) => {
    const found = packages.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is not in scripts/peers.txt`);
    return !found.commands.every(isCommand);
  });
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
