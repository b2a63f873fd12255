import type { ContractCase } from "./bridge-harness.ts";
import { flowCases } from "./contract-flow.ts";
import { lifecycleCases } from "./contract-lifecycle.ts";
import { messageCases } from "./contract-messages.ts";

/**
 * What every bridge promises (docs: "The bridge contract"), as cases for any test runner:
 *
 * ```ts
 * describe.each(bridgeContractCases.filter((one) => one.applies(contract)))("contract", (one) => {
 *   test(one.name, () => one.run(contract));
 * });
 * ```
 */
export const bridgeContractCases: readonly ContractCase[] = [
  ...lifecycleCases,
  ...messageCases,
  ...flowCases,
];
