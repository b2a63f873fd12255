import { Command, Option } from "commander";
import { nearest } from "../config/nearest.ts";
import { gatewayVersion } from "../version.ts";
import { addAccessCommands } from "./access-program.ts";
import { addCoapCommands } from "./coap-program.ts";
import { EXAMPLES } from "./examples.ts";
import { atGateway, type Finish, kindOption, placed, reaching, span, ttl, whole } from "./program-options.ts";
import { addStoreCommands } from "./store-program.ts";
import { UsageError } from "./usage-error.ts";

/** Makes the command line. What a command needs is loaded when it runs, so that help is quick. */
export function createProgram(finish: Finish): Command {
  const program = new Command("nomq")
    .description("One network of NoMQ, MQTT, CoAP and XMPP: the gateway and its tools.")
    .version(gatewayVersion())
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .addHelpText("after", EXAMPLES.program);
  addGateway(program, finish);
  addPub(program, finish);
  addSub(program, finish);
  addKeys(program, finish);
  addDeviceConfig(program, finish);
  addDecode(program, finish);
  addCheck(program, finish);
  addExplain(program, finish);
  addUnknown(program, finish);
  addName(program, finish);
  addStoreCommands(program, finish);
  addAccessCommands(program, finish);
  addCoapCommands(program, finish);
  return program;
}

function addGateway(program: Command, finish: Finish): void {
  const command = program
    .command("gateway", { isDefault: true })
    .description("run the gateway (the default command)")
    .argument("[none...]");
  placed(command)
    .option("--port-offset <n>", "add this to every port that is not 0", whole(0, 65_535), 0)
    .addHelpText("after", EXAMPLES.gateway)
    .usage("[options]")
    .action(async (rest: string[], options) => {
      const [unknown] = rest;
      if (unknown !== undefined) throw unknownCommand(unknown, program);
      const { runGateway } = await import("./gateway-command.ts");
      finish(await runGateway(options));
    });
}

/** A word that is no command ends up as an argument of the default one. */
function unknownCommand(word: string, program: Command): UsageError {
  const names = program.commands.map((each) => each.name());
  const near = nearest(word, names);
  return new UsageError(
    `unknown command ${word}; ${near === undefined ? "see nomq --help" : `did you mean ${near}?`}`,
  );
}

function addPub(program: Command, finish: Finish): void {
  const command = program
    .command("pub")
    .description("publish one message")
    .argument("<channel>", "channel name")
    .argument("<message>", "payload as text; - reads it from standard input, byte for byte");
  reaching(command)
    .option("-q, --qos <n>", "0, 1 or 2", whole(0, 2), 0)
    .option("-r, --retain", "keep it as the channel's value; an empty message clears it")
    .option("--ttl <time>", "time to live: seconds, or 500ms, 60s, 5m, 24h; 0 is now or never", ttl)
    .option("--priority <n>", "0 to 15", whole(0, 15))
    .option("--content-type <type>", "MIME type of the payload")
    .addOption(new Option("--until <point>", "what to wait for").choices(["accepted", "stored", "delivered"]))
    .option("--receipt", "wait, and print what becomes of the message at every attachment")
    .option("--timeout <time>", "end the waiting of --receipt after 500ms, 60s, 5m, … (default: never)", span)
    .option("--json", "print the receipt as JSON; with --receipt one line after each change")
    .addOption(kindOption())
    .addHelpText("after", EXAMPLES.pub)
    .action(async (channel: string, message: string, options) => {
      const { runPub } = await import("./pub-command.ts");
      finish(await runPub(channel, message, options));
    });
}

function addSub(program: Command, finish: Finish): void {
  const command = program
    .command("sub")
    .description("print messages as they come, retained ones first")
    .argument("<filter...>", "channel filters: + is one level, # all that follow");
  reaching(command)
    .option("-n, --count <n>", "end after so many messages", whole(1, Number.MAX_SAFE_INTEGER))
    .option("--no-retained", "only what is published from now on")
    .option("--json", "one JSON object per line")
    .addOption(kindOption())
    .addHelpText("after", EXAMPLES.sub)
    .action(async (filters: string[], options) => {
      const { runSub } = await import("./sub-command.ts");
      finish(await runSub(filters, options));
    });
}

function addKeys(program: Command, finish: Finish): void {
  const keys = program.command("keys").description("keys of NoMQ devices");
  keys
    .command("new")
    .description("make a key: print it, or write it to a file that only you can read")
    .option("--id <id>", "the key's name", "site")
    .option("-o, --out <file>", "write it there instead; an existing file is never overwritten")
    .addHelpText("after", EXAMPLES.keys)
    .action(async (options) => {
      const { runKeysNew } = await import("./keys-command.ts");
      finish(runKeysNew(options));
    });
}

function addDeviceConfig(program: Command, finish: Finish): void {
  const command = program
    .command("device-config")
    .description("write the nomq_config.json that a MicroPython device loads, or read one");
  placed(command)
    .option("--key <file>", "key file for the device (default: the gateway's key)")
    .option("--id <id>", "which of the gateway's keys, where there are several")
    .option("--ip <address>", "IPv4 address that the board's program binds", "0.0.0.0")
    .option("--port <n>", "UDP port that it binds", whole(1, 65_535), 8888)
    .option("-o, --out <file>", "write it there, for you alone (default: standard output)")
    .option("--force", "overwrite the file")
    .option("--read <file>", "show what such a file says; - reads it from standard input")
    .option("--show-keys", "with --read: show the keys too")
    .option("--json", "with --read: one JSON object")
    .addHelpText("after", EXAMPLES.deviceConfig)
    .action(async (options) => {
      const { runDeviceConfig } = await import("./device-config-command.ts");
      finish(await runDeviceConfig(options));
    });
}

function addDecode(program: Command, finish: Finish): void {
  program
    .command("decode")
    .description("show every field of a NoMQ packet, or why it is refused")
    .argument("<hex>", "the datagram's bytes in hexadecimal; - reads them from standard input")
    .option("--key <file>", "key file; without it only the header can be read")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES.decode)
    .action(async (hex: string, options) => {
      const { runDecode } = await import("./decode-command.ts");
      finish(await runDecode(hex, options));
    });
}

function addCheck(program: Command, finish: Finish): void {
  program
    .command("check")
    .description("check a configuration file and say all that is wrong with it")
    .argument("<file>", "gateway.yaml")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES.check)
    .action(async (file: string, options) => {
      const { runCheck } = await import("./check-command.ts");
      finish(runCheck(file, options));
    });
}

function addExplain(program: Command, finish: Finish): void {
  program
    .command("explain")
    .description("say what becomes of a message's properties between two protocols")
    .argument(
      "<from>",
      "nomq, nomq:device, nomq:node, mqtt, mqtt5, mqtt3.1.1, coap, coap:con, coap:non, xmpp, xmpp:item, xmpp:plain; with a property: nomq:qos2",
    )
    .argument("<to>", "the same")
    .option("--json", "one JSON object per line")
    .addHelpText("after", EXAMPLES.explain)
    .action(async (from: string, to: string, options) => {
      const { runExplain } = await import("./explain-command.ts");
      finish(runExplain(from, to, options));
    });
}

function addUnknown(program: Command, finish: Finish): void {
  const command = program
    .command("unknown")
    .description("list NoMQ channels without a name and devices with a wrong clock, with what to do");
  atGateway(command)
    .option("--json", "one JSON object per line")
    .addHelpText("after", EXAMPLES.unknown)
    .action(async (options) => {
      const { runUnknown } = await import("./unknown-command.ts");
      finish(await runUnknown(options));
    });
}

function addName(program: Command, finish: Finish): void {
  const command = program
    .command("name")
    .description("give a NoMQ channel its name, for as long as the gateway's data folder keeps it")
    .argument("[hash]", "its hash, or the first 8 digits or more, as nomq unknown lists it")
    .argument("[channel]", "its name")
    .usage("[options] HASH CHANNEL");
  atGateway(command)
    .option("--list", "list the names given so far")
    .option("--forget <channel>", "keep a name no longer; it stays known until the gateway's next start")
    .option("--json", "one JSON object per line")
    .addHelpText("after", EXAMPLES.name)
    .action(async (hash: string | undefined, channel: string | undefined, options) => {
      const { runName } = await import("./name-command.ts");
      const given = [hash, channel].filter((each) => each !== undefined);
      finish(await runName(given, options));
    });
}
