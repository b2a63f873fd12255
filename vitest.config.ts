import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import WaitingFirst from "./test/waiting-first.ts";

// Packages are imported from their sources, so no test needs a build.
const conditions = ["@nomq/source"];

// Programs that tests start spend most of their time on compiling us: they keep what V8 and Node made of the sources.
const compiled = new URL("node_modules/.cache/nomq-compile", import.meta.url).pathname;

const results = process.env["NOMQ_RESULTS"];

export default defineConfig({
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: [
      ...readdirSync(new URL("packages", import.meta.url)).map((name) => ({
        extends: true as const,
        // Core and bridges keep no state outside of what they make: their files share processes. The gateway's need their own.
        test: { name, root: `packages/${name}`, isolate: name === "gateway" },
      })),
      { extends: true as const, test: { name: "workspace", root: "test" } },
    ],
    // Limits against hanging, not assertions about time: a busy machine must not fail a test.
    testTimeout: process.env["NOMQ_LONG"] ? 600_000 : 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    // Many files wait, for a real clock or for a program that they start: one file a core would leave cores idle.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: WaitingFirst },
    setupFiles: [new URL("test/seeded-properties.ts", import.meta.url).pathname],
    reporters: [
      "default",
      "./test/skipped-reporter.ts",
      ...(results ? [["json", { outputFile: results }] as ["json", { outputFile: string }]] : []),
    ],
    env: { NODE_COMPILE_CACHE: compiled },
    coverage: { include: ["packages/*/src/**"] },
  },
});
