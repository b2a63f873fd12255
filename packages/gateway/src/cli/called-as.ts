import { basename, relative } from "node:path";
import type { PlaceOptions } from "./place.ts";

/** How this very program is called again, so that the lines it prints can be pasted: `nomq`, `npm start -s --`. */
export function commandHere(): string {
  const called = process.argv[1] ?? "";
  const name = basename(called);
  if (name === "main.ts") return "npm start -s --";
  if (process.env["npm_command"] === "exec") return "npx -p @nomq/gateway nomq";
  return name === "main.js" ? `node ${quoted(relative(process.cwd(), called))}` : "nomq";
}

/** What leads commands to the same gateway as these options, with a space in front; with the defaults nothing is needed. */
export function placeHere({ config, data, socket }: PlaceOptions): string {
  if (socket !== undefined) return ` --socket ${quoted(socket)}`;
  if (data !== undefined) return ` --data ${quoted(data)}`;
  return config === undefined ? "" : ` --config ${quoted(config)}`;
}

const quoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
