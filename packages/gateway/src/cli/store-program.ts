import type { Command } from "commander";
import { EXAMPLES } from "./examples.ts";
import { type Finish, placed } from "./program-options.ts";

/** Adds `store check`, `store export` and `store import`. */
export function addStoreCommands(program: Command, finish: Finish): void {
  const store = program
    .command("store")
    .description("check, back up and rescue the store of a gateway that is stopped");
  placed(store.command("check"))
    .description("read a store through and say what does not fit")
    .argument("[dir]", "data folder (default: the configuration's, else ./data)")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES.storeCheck)
    .action(async (dir: string | undefined, options) => {
      const { runStoreCheck } = await import("./store-command.ts");
      finish(await runStoreCheck(dir, options));
    });
  placed(store.command("export"))
    .description("write all that a store holds to standard output, one JSON object per line")
    .argument("[dir]", "data folder (default: the configuration's, else ./data)")
    .option("--json", "the same: an export is JSON lines")
    .option("--salvage", "of a damaged store: what can be read, from a copy made beside it")
    .addHelpText("after", EXAMPLES.storeExport)
    .action(async (dir: string | undefined, options) => {
      const { runStoreExport } = await import("./store-command.ts");
      finish(await runStoreExport(dir, options));
    });
  placed(store.command("import"))
    .description("make a store out of an export on standard input, where there is none yet")
    .argument("[dir]", "data folder (default: the configuration's, else ./data)")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES.storeImport)
    .action(async (dir: string | undefined, options) => {
      const { runStoreImport } = await import("./store-command.ts");
      finish(await runStoreImport(dir, options));
    });
}
