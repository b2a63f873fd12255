import { expect, test } from "vitest";
import { Channels } from "../../src/hub/channels.ts";

async function known(channels: Channels): Promise<string[]> {
  const names: string[] = [];
  for await (const name of channels.list("#", { follow: false })) names.push(name);
  return names;
}

test("names seen are bounded in number and in bytes; the oldest go, those of the configuration stay", async () => {
  const channels = new Channels({ configured: ["plant"], most: 5000 });
  for (let at = 0; at < 6000; at += 1) channels.learn(`short/${at}`);
  const short = await known(channels);
  expect([short.length, short[0], short[1]]).toEqual([5001, "plant", "short/1000"]);
  for (let at = 0; at < 3000; at += 1) channels.learn("x".repeat(8000) + at);
  const long = await known(channels);
  const bytes = long.reduce((sum, name) => sum + 2 * name.length, 0);
  expect(bytes).toBeLessThan(33 * 1024 * 1024);
  expect(bytes).toBeGreaterThan(31 * 1024 * 1024);
  expect([long[0], long.at(-1)]).toEqual(["plant", `${"x".repeat(8000)}2999`]);
});
