import { type Command, Option } from "commander";
import { EXAMPLES } from "./examples.ts";
import { atGateway, type Finish } from "./program-options.ts";

/** Adds `passwd`, `token new` and `access explain`. */
export function addAccessCommands(program: Command, finish: Finish): void {
  program
    .command("passwd")
    .description("make the line of access.users for a password, asked for twice or read from standard input")
    .option("-u, --user <name>", "whose it is; without it only the hash is printed")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES.passwd)
    .action(async (options) => {
      const { runPasswd } = await import("./passwd-command.ts");
      finish(await runPasswd(options));
    });
  addToken(program, finish);
  const access = program.command("access").description("who may do what");
  const explain = atGateway(access.command("explain"));
  explain
    .description("say which rule lets somebody publish or subscribe, or which line would")
    .argument("<who>", "user:NAME, nomq:KEYID, token:NAME, addr:IP or anonymous")
    .argument("<action>", "publish or subscribe")
    .argument("<channel>", "channel; with subscribe also a filter")
    .option("--running", "ask the running gateway, not the configuration file")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES.accessExplain)
    .action(async (who: string, action: string, channel: string) => {
      const { runAccessExplain } = await import("./access-command.ts");
      finish(await runAccessExplain({ who, action, channel }, explain.opts()));
    });
  atGateway(access.command("reload"))
    .description("let the running gateway read the access section of its file again, as SIGHUP does")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES.accessReload)
    .action(async (options) => {
      const { runAccessReload } = await import("./access-command.ts");
      finish(await runAccessReload(options));
    });
}

function addToken(program: Command, finish: Finish): void {
  const token = program.command("token").description("tokens of programs that use the HTTP API");
  token
    .command("new")
    .description("make a token and the line of access.tokens for it")
    .argument("<name>", "its name")
    .addOption(
      new Option("-s, --scope <scope...>", "what it is good for").choices(["publish", "subscribe", "admin"]),
    )
    .option("-o, --out <file>", "write the token there, for you alone, and name the file in the line")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES.tokenNew)
    .action(async (name: string, options) => {
      const { runTokenNew } = await import("./token-command.ts");
      finish(runTokenNew(name, options));
    });
}
