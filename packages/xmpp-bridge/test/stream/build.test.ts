import { xml } from "@xmpp/client";
import { expect, test } from "vitest";
import { element } from "../../src/stream/build.ts";

test("an element is one of ltx's, without the attributes and texts that are not there", () => {
  const child = element("b");
  const made = element("a", { x: "1", y: undefined, z: "'" }, ["", child, "<text>"]);
  expect(made).toBeInstanceOf(xml.Element);
  expect(made.attrs).toEqual({ x: "1", z: "'" });
  expect(made.children).toEqual([child, "<text>"]);
  expect(child.parent).toBe(made);
  expect(made.toString()).toBe('<a x="1" z="&apos;"><b/>&lt;text&gt;</a>');
});
