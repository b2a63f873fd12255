import { readFileSync } from "node:fs";

/** This package's version. */
export function gatewayVersion(): string {
  // One level up from src/ and from dist/ alike.
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === "object" && parsed !== null && "version" in parsed
    ? String(parsed.version)
    : "unknown";
}
