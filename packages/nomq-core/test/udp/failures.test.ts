import { expect, test } from "vitest";
import { createFailureWatch } from "../../src/udp/failures.ts";

const always = { hasAddress: () => true, now: (): number => 0 };

test.each(["EHOSTUNREACH", "ENETUNREACH", "EPERM", "EACCES", "EINVAL", "ECONNREFUSED", "EMSGSIZE"])(
  "%s is of a destination, however often: the socket works",
  (code) => {
    const watch = createFailureWatch(always);
    for (let at = 0; at < 100; at += 1) expect(watch.notSent(code)).toBeUndefined();
    if (code !== "EINVAL") expect(watch.reported(code)).toBeUndefined();
  },
);

test.each(["EBADF", "ENOTSOCK", "ERR_SOCKET_DGRAM_NOT_RUNNING"])("%s is the end of the socket", (code) => {
  expect(createFailureWatch(always).notSent(code)).toBe(code);
});

test.each(["ENETDOWN", "ENOBUFS", "ENOMEM"])(
  "%s is the end after five sends in a row, over a second",
  (code) => {
    let now = 0;
    const watch = createFailureWatch({ ...always, now: () => now });
    for (let round = 0; round < 3; round += 1) {
      for (let at = 0; at < 4; at += 1) expect(watch.notSent(code)).toBeUndefined();
      now += 1000;
      // In between another destination cannot be reached: that tells nothing of the socket.
      watch.notSent("EHOSTUNREACH");
      watch.sent();
    }
    // A burst is no proof.
    for (let at = 0; at < 100; at += 1) expect(watch.notSent(code)).toBeUndefined();
    now += 1000;
    expect(watch.notSent(code)).toBe(code);
  },
);

test("an address that this machine has no more ends its socket", () => {
  let isThere = true;
  const watch = createFailureWatch({ ...always, hasAddress: () => isThere });
  expect(watch.notSent("EINVAL")).toBeUndefined();
  isThere = false;
  expect(watch.notSent("EPERM")).toBeUndefined();
  expect(watch.notSent("EINVAL")).toBe("its address is gone");
});

test("an error that the system reports of the socket itself ends it", () => {
  expect(createFailureWatch(always).reported("ENOMEM")).toBe("ENOMEM");
  expect(createFailureWatch(always).reported("")).toBe("unknown");
});
