import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { likelyCause, likelyMove } from "../../src/session/clock-cause.ts";

const NOW = 1_760_000_000;
const UNIX_2000 = 946_684_800;
const HOUR = 3600;

describe("what is likely wrong with a clock", () => {
  test.each([
    [-NOW + 7, "nobody has set it: it counts from 0 and shows 7 s"],
    [-NOW + 3 * HOUR + 120, "nobody has set it: it counts from 0 and shows 3 h 2 min"],
    [UNIX_2000 + 60 - NOW, "nobody has set it: it began at 2000-01-01"],
    [1_609_459_200 + 60 - NOW, "nobody has set it: it began at 2021-01-01, as a Raspberry Pi Pico does"],
    [UNIX_2000, "it counts from 1970, and the 30 years to 2000 were added once more"],
    [UNIX_2000 + 2 * HOUR, "it counts from 1970, and the 30 years to 2000 were added once more"],
    [2_208_988_800, "it counts from 1900, as NTP does: subtract 2208988800"],
    [-315_964_800, "it counts from 1980, as GPS does: add 315964800"],
    [45, "it is 45 s ahead"],
    [-2 * HOUR - 7 * 60, "it is 2 h 7 min behind"],
    [-26 * HOUR, "it is 1 d 2 h behind"],
    [31 * 31_556_952, "it is 31 years ahead"],
    [-UNIX_2000 + 431, "it is 7 min 11 s ahead, counting from 2000"],
  ])("%i s off: %s", (offset, text) => {
    expect(likelyCause(offset, NOW)).toBe(text);
  });

  test("our own, when it was never set", () => {
    expect(likelyCause(NOW - 100, 100)).toBe("this machine's own clock is not set: set it first");
  });

  test("a move within a session", () => {
    expect(likelyMove(3600, 3600 + 95)).toBe("it has moved 1 min 35 s ahead since its session began");
    expect(likelyMove(0, -NOW + 5)).toBe("it has moved 56 years back since its session began");
  });

  test("there is an answer for every offset that a packet can have", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (shown, now) => {
          expect(likelyCause(shown - now, now)).toMatch(/^(nobody has set it|it |this machine's)/);
          expect(likelyMove(0, shown - now)).not.toMatch(/NaN|undefined|-\d/);
        },
      ),
    );
  });
});
