import { join } from "node:path";
import { createFaultyStore } from "@nomq/core/testing";
import { createGateway, loadConfig } from "@nomq/gateway";
import { createDurableStore } from "@nomq/gateway/store";
import { readyLine } from "../../packages/gateway/src/banner.ts";
import { openLog } from "../../packages/gateway/src/log.ts";

// The gateway on its real store, whose every call hangs from one SIGUSR2 to the next. Takes `gateway --config FILE`.
const [, , , , file = ""] = process.argv;
const config = loadConfig(file, process.cwd());
await using log = openLog(config.log);
const durable = createDurableStore({
  folder: join(config.data, "store"),
  durability: config.durability,
  log,
});
const store = createFaultyStore(durable);
await using gateway = createGateway({ config, log, store });
let isHanging = false;
process.on("SIGUSR2", () => {
  isHanging = !isHanging;
  if (isHanging) store.hang("everything");
  else store.heal();
  process.stdout.write(`{"event":"${isHanging ? "hangs" : "healed"}"}\n`);
});
const ended = new Promise((resolve) => process.once("SIGTERM", resolve));
process.stdout.write(readyLine(await gateway.start()));
await ended;
await gateway.stop();
