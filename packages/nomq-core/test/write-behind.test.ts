import { expect, test } from "vitest";
import { createWriteBehind, type WriteBehind } from "../src/write-behind.ts";

/** Writes lists of what was noted, each when it is told to end. */
function room(): {
  readonly behind: WriteBehind;
  readonly writes: string[][];
  note(what: string): void;
  end(error?: Error): void;
} {
  let noted: string[] = [];
  const writes: string[][] = [];
  let open = Promise.withResolvers<void>();
  const behind = createWriteBehind({
    write: () => {
      writes.push(noted);
      noted = [];
      open = Promise.withResolvers<void>();
      return open.promise;
    },
  });
  return {
    ...{ behind, writes },
    note(what) {
      noted.push(what);
      behind.begin();
    },
    end: (error) => (error === undefined ? open.resolve() : open.reject(error)),
  };
}

test("what is noted in one turn is one write, and what comes while it is open is the next", async () => {
  const { behind, writes, note, end } = room();
  expect(behind.written()).toBeUndefined();
  note("a");
  note("b");
  const first = behind.written();
  await expect.poll(() => writes).toEqual([["a", "b"]]);
  note("c");
  note("d");
  const second = behind.written();
  expect(second).not.toBe(first);
  end();
  await first;
  await expect
    .poll(() => writes)
    .toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
  end();
  await second;
  await expect.poll(() => behind.written()).toBeUndefined();
});

test("a write that fails is told to those who wait for it, and the next goes on", async () => {
  const { behind, writes, note, end } = room();
  note("a");
  const first = behind.written();
  await expect.poll(() => writes.length).toBe(1);
  note("b");
  const second = behind.written();
  end(new Error("full"));
  await expect(first).rejects.toThrow("full");
  await expect.poll(() => writes).toEqual([["a"], ["b"]]);
  end();
  await expect(second).resolves.toBeUndefined();
});
