import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { Log, LogFields } from "@nomq/core";
import type { LogConfig } from "./config/config.ts";

/** A log that ends with the process: closing waits until all of it is written. */
export interface GatewayLog extends Log, AsyncDisposable {}

const LEVELS = ["debug", "info", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];

/** What one line is made of. */
interface Line {
  readonly time: Date;
  readonly level: Level;
  readonly text: string;
  readonly fields: LogFields;
}

/** Opens the log of the `log` section: a file, or standard error so that standard output stays for data. */
export function openLog(config: LogConfig): GatewayLog {
  const file = config.file === null ? undefined : createWriteStream(config.file, { flags: "a", mode: 0o600 });
  // A full disk or a closed terminal must not end the gateway.
  file?.on("error", (error) => process.stderr.write(`log file: ${error.message}\n`));
  const out = file ?? process.stderr;
  const least = LEVELS.indexOf(config.level);
  const format = config.format === "json" ? jsonLine : prettyLine;
  const write =
    (level: Level) =>
    (text: string, fields: LogFields = {}) => {
      if (LEVELS.indexOf(level) >= least) out.write(format({ time: new Date(), level, text, fields }));
    };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    async [Symbol.asyncDispose]() {
      if (file === undefined || file.closed) return;
      file.end();
      await finished(file).catch(() => undefined);
    },
  };
}

/** One JSON object: `time`, `level`, `text`, then the fields. */
function jsonLine({ time, level, text, fields }: Line): string {
  return `${JSON.stringify({ time: time.toISOString(), level, text, ...fields })}\n`;
}

/** `2026-11-21T12:00:01.123Z warn  text name=value`, on one line whatever the values hold. */
function prettyLine({ time, level, text, fields }: Line): string {
  const said = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${plain(value)}`);
  return `${time.toISOString()} ${level.padEnd(5)} ${oneLine(text)}${said.join("")}\n`;
}

const plain = (value: unknown): string =>
  typeof value === "string" && /^[\w./:@[\]#+-]+$/.test(value) ? value : oneLine(JSON.stringify(value));

/** The text on one line: control characters of a hostile name must not forge lines or drive a terminal. */
export const oneLine = (text: string): string =>
  text.replaceAll(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
