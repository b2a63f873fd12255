import { type Command, Option } from "commander";
import { EXAMPLES } from "./examples.ts";
import { type Finish, span } from "./program-options.ts";

const DEFAULT_TIMEOUT_MS = 15_000;

/** Adds `coap discover`. */
export function addCoapCommands(program: Command, finish: Finish): void {
  const coap = program.command("coap").description("CoAP sensors and actuators");
  coap
    .command("discover")
    .description("ask a CoAP server for its resources and print them as lines of the configuration")
    .argument("<url>", "coap://HOST[:PORT], with a filter if wanted: coap://10.0.0.9?rt=temperature")
    .addOption(
      new Option("--timeout <time>", "give up after 500ms, 15s, 1m, …")
        .argParser(span)
        .default(DEFAULT_TIMEOUT_MS, "15s"),
    )
    .option("--json", "one JSON object per resource and line")
    .addHelpText("after", EXAMPLES.coapDiscover)
    .action(async (url: string, options) => {
      const { runCoapDiscover } = await import("./coap-discover-command.ts");
      finish(await runCoapDiscover(url, options));
    });
}
