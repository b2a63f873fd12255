#!/usr/bin/env node
import { keepHeapSmall } from "./heap.ts";

// Before anything else is loaded: the young generation grows while it is.
keepHeapSmall();
const { runCli } = await import("./cli/run.ts");
process.exitCode = await runCli(process.argv);
