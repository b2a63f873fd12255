import { existsSync, readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = new URL("..", import.meta.url).pathname;

/** The picture of docs/architecture.md: who may know whom. A package that is not drawn fails. */
const PICTURE: Readonly<Record<string, readonly string[]>> = {
  "@nomq/core": [],
  "@nomq/mqtt-bridge": ["@nomq/core"],
  "@nomq/coap-bridge": ["@nomq/core"],
  "@nomq/xmpp-bridge": ["@nomq/core"],
  "@nomq/gateway": ["@nomq/core", "@nomq/mqtt-bridge", "@nomq/coap-bridge", "@nomq/xmpp-bridge"],
};

/** Apps stand on top: they may know every package, and nothing knows them. */
const APPS_MAY = Object.keys(PICTURE);

/** Folders whose rooms stand on one another, the lowest first: a room knows those before it, and files beside the rooms. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  "packages/nomq-core/src/node": ["peers", "sending", "receiving"],
  "packages/mqtt-bridge/src": [
    "listen",
    "aedes",
    "front",
    "sessions",
    "access",
    "clients",
    "messages",
    "broker",
  ],
  "packages/coap-bridge/src": [
    "wire",
    "listen",
    "messaging",
    "blocks",
    "resources",
    "observe",
    "discovery",
    "programs",
    "server",
    "client",
  ],
  "packages/gateway/src/store": ["layout", "disk", "image", "writing", "upkeep"],
};

interface Project {
  readonly name: string;
  readonly folder: string;
  readonly app: boolean;
  readonly declared: readonly string[];
  readonly imported: ReadonlyMap<string, string>;
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}

function sourcesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file));
}

/** Packages that the sources import, each with one file that does. */
function importsIn(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of sourcesIn(folder)) {
    const { importedFiles } = ts.preProcessFile(readFileSync(file, "utf8"), true, true);
    for (const { fileName } of importedFiles) {
      if (fileName.startsWith(".") || fileName.startsWith("node:")) continue;
      found.set(packageOf(fileName), file.slice(root.length));
    }
  }
  return found;
}

function readProject(folder: string, app: boolean): Project {
  // A package.json of ours: npm checks its shape at every install.
  const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as {
    name: string;
    dependencies?: Record<string, string>;
    peerDependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
  };
  const declared = Object.keys({
    ...manifest.dependencies,
    ...manifest.peerDependencies,
    ...manifest.optionalDependencies,
  });
  return { name: manifest.name, folder, app, declared, imported: importsIn(join(root, folder, "src")) };
}

const projects: readonly Project[] = [
  ...readdirSync(join(root, "packages")).map((name) => readProject(`packages/${name}`, false)),
  ...readdirSync(join(root, "apps")).map((name) => readProject(`apps/${name}`, true)),
];
const ours = (name: string): boolean => name.startsWith("@nomq/");

function mayKnow(project: Project): readonly string[] | undefined {
  return project.app ? APPS_MAY : PICTURE[project.name];
}

describe.each(projects)("$name", (project) => {
  test("is in the picture", () => {
    expect(mayKnow(project), `${project.name} is missing in PICTURE and docs/architecture.md`).toBeDefined();
  });

  test("declares only packages below it", () => {
    const above = project.declared.filter((name) => ours(name) && !mayKnow(project)?.includes(name));
    expect(above).toEqual([]);
  });

  test("imports only what it declares", () => {
    const undeclared = [...project.imported].filter(
      ([name]) => name !== project.name && !project.declared.includes(name),
    );
    expect(undeclared.filter(([name]) => !builtinModules.includes(name))).toEqual([]);
  });

  test("names Node's own modules with node:", () => {
    expect([...project.imported].filter(([name]) => builtinModules.includes(name))).toEqual([]);
  });

  test("imports its own package by path, not by name", () => {
    expect(project.imported.get(project.name)).toBeUndefined();
  });
});

test("packages form no cycle", () => {
  const edges = new Map(projects.map((project) => [project.name, project.declared.filter(ours)] as const));
  const walk = (name: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(name)) return [...path, name];
    for (const next of edges.get(name) ?? []) {
      const cycle = walk(next, [...path, name]);
      if (cycle !== undefined) return cycle;
    }
    return undefined;
  };
  for (const name of edges.keys()) expect(walk(name, [])).toBeUndefined();
});

test("docs/architecture.md draws every package", () => {
  const page = readFileSync(join(root, "docs/architecture.md"), "utf8");
  for (const { name } of projects) expect(page).toContain(name);
});

describe.each(Object.entries(ROOMS))("%s", (folder, rooms) => {
  const roomOf = (file: string): number =>
    rooms.indexOf(relative(join(root, folder), file).split("/")[0] ?? "");

  test("has these rooms and no other", () => {
    const entries = readdirSync(join(root, folder), { withFileTypes: true });
    const found = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    expect(found.toSorted()).toEqual(rooms.toSorted());
  });

  test("no room imports one above it", () => {
    const upward = sourcesIn(join(root, folder)).flatMap((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(file, "utf8"), true, true);
      const imported = importedFiles.map(({ fileName }) => join(dirname(file), fileName));
      const own = roomOf(file);
      return own === -1 ? [] : imported.filter((other) => roomOf(other) > own).map((other) => [file, other]);
    });
    expect(upward).toEqual([]);
  });
});
