import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createChannelLocks, type Leave } from "../../src/resources/channel-locks.ts";

describe("writers of one channel", () => {
  test("go together, unless one must be alone", async () => {
    const locks = createChannelLocks();
    const first = locks.enter("a", false);
    const second = locks.enter("a", false);
    expect(locks.enter("a", true)).toBeUndefined();
    const alone = locks.wait("a", true);
    let isIn = false;
    void alone.then(() => {
      isIn = true;
    });
    expect(locks.enter("a", false), "nobody overtakes one who waits").toBeUndefined();
    first?.();
    first?.();
    await Promise.resolve();
    expect(isIn).toBe(false);
    second?.();
    (await alone)();
    expect(locks.enter("a", true)).toBeDefined();
  });

  test("one channel does not wait for another", () => {
    const locks = createChannelLocks();
    locks.enter("a", true);
    expect(locks.enter("b", true)).toBeDefined();
  });

  test("in any order of coming and going: alone is alone, and everyone gets in", async () => {
    const steps = fc.array(fc.oneof(fc.record({ come: fc.boolean() }), fc.record({ go: fc.nat(20) })), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(steps, async (todo) => {
        const locks = createChannelLocks();
        const inside: { readonly alone: boolean; readonly leave: Leave }[] = [];
        let came = 0;
        let entered = 0;
        const check = (): void => {
          if (inside.some(({ alone }) => alone)) expect(inside.length).toBe(1);
        };
        const take = (alone: boolean, leave: Leave): void => {
          entered += 1;
          inside.push({ alone, leave });
          check();
        };
        for (const step of todo) {
          if ("come" in step) {
            came += 1;
            void locks.wait("a", step.come).then((leave) => take(step.come, leave));
          } else {
            inside.splice(step.go % Math.max(inside.length, 1), 1)[0]?.leave();
          }
          await Promise.resolve();
          check();
        }
        while (inside.length > 0) {
          inside.pop()?.leave();
          await Promise.resolve();
        }
        expect(entered).toBe(came);
      }),
    );
  });
});
