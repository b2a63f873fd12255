import { describe, expect, test } from "vitest";
import { Response } from "../../src/wire/code.ts";
import { ANN, createWorld } from "./world.ts";

const texts = (all: readonly { text: string }[]): string[] => all.map(({ text }) => text);

describe("a registration", () => {
  test("RFC 7641 §3.1: is answered with the value and an order number, and then told every change", async () => {
    await using world = await createWorld();
    await world.publish("room/t", "20");
    const first = await world.register(ANN, "a", "room/t");
    expect(first).toMatchObject({ code: Response.content, text: "20" });
    await world.publish("room/t", "21");
    const [second] = await world.hear();
    expect(second).toMatchObject({ code: Response.content, text: "21" });
    expect(second?.observe).toBeGreaterThan(first.observe ?? Number.NaN);
    await world.put("room/t", "22");
    expect(texts(await world.hear())).toEqual(["22"]);
  });
});
