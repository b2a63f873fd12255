import { createMemoryStore } from "@nomq/core";
import { createFakeClock, type StoreContract, storeContractCases } from "@nomq/core/testing";
import { describe, test } from "vitest";

const contract: StoreContract = {
  make: () => {
    const store = createMemoryStore({ clock: createFakeClock() });
    return Promise.resolve({
      store,
      reopen: async (how) => {
        if (how === "stop") await store[Symbol.asyncDispose]();
        await store.open();
      },
      [Symbol.asyncDispose]: () => Promise.resolve(store[Symbol.asyncDispose]()),
    });
  },
};

describe("the memory store keeps the store contract", () => {
  test.for(storeContractCases)("$name", (one) => one.run(contract));
});
