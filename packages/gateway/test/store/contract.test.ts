import { storeContractCases } from "@nomq/core/testing";
import { describe, test } from "vitest";
import { durableContract } from "./folders.ts";

describe("the durable store keeps the store contract", () => {
  test.for(storeContractCases)("$name", (one) => one.run(durableContract));
});
