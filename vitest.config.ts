import { readdirSync } from "node:fs";
import { defineConfig } from "vitest/config";

// Packages are imported from their sources, so no test needs a build.
const conditions = ["@nomq/source"];

export default defineConfig({
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: [
      ...readdirSync(new URL("packages", import.meta.url)).map((name) => ({
        extends: true as const,
        test: { name, root: `packages/${name}` },
      })),
      { extends: true as const, test: { name: "workspace", root: "test" } },
    ],
    coverage: { include: ["packages/*/src/**"] },
  },
});
