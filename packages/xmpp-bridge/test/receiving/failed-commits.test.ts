import { describe, expect, test } from "vitest";
import { foreignXml, type RestartWorld, restartWorld } from "./restart-world.ts";

describe("a commit that fails", () => {
  /** The first item is in it, the second in the next one, which does not fail. */
  async function failing(...items: readonly (readonly [id: string, text: string])[]): Promise<RestartWorld> {
    const it = await restartWorld("n");
    it.online();
    await it.rest();
    it.store.hang();
    for (const [id, text] of items) {
      it.publish("n", id, foreignXml(text));
      await it.turns(10);
    }
    it.store.fail();
    it.store.heal();
    return it;
  }

  test("does not let the next item pass the one that was in it", async () => {
    await using it = await failing(["e1", "1"], ["e2", "2"], ["current", "3"]);
    await it.rest();
    expect(it.texts("n")).toEqual(["1", "2", "[3]"]);
  });

  test("lets states follow each other as they were set", async () => {
    await using it = await failing(["current", "1"], ["current", "2"]);
    await it.rest();
    expect(it.texts("n")).toEqual(["[1]", "[2]"]);
    expect(await it.latest("n")).toBe("2");
  });

  test("does not have its items taken for such as came, whenever the gateway is killed after it", async () => {
    for (let turns = 0; turns < 20; turns += 1) {
      await using it = await failing(["e1", "1"], ["e2", "2"]);
      await it.turns(turns);
      it.crash("in");
      await it.start();
      it.online();
      await it.rest();
      expect(it.texts("n"), `killed after ${turns} turns`).toEqual(["1", "2"]);
    }
  });
});
