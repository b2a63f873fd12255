import { expect, test } from "vitest";
import { sensorLines } from "../../src/client/sensor-lines.ts";

test("what a device says of itself ends no line and drives no terminal", () => {
  const attributes = { title: "a\n  - { evil: 1 }\u001b[2J\u2028b", rt: "" };
  const lines = sensorLines([{ url: "coap://h/t", channel: "sensors/h/t", observable: true, attributes }]);
  expect(lines.split("\n")).toHaveLength(4);
  expect(lines).toMatch(
    /^coap:\n {2}observe:\n {4}- \{ url: "coap:\/\/h\/t", channel: "sensors\/h\/t" \} {3}# /,
  );
  expect(lines).not.toMatch(/[^\n -~]/);
});
