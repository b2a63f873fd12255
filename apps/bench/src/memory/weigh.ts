// Weighs one kind of entry in a process of its own, whose heap holds nothing else.
import { weigh } from "./entries.ts";

const [what = "", count = ""] = process.argv.slice(2);
process.send?.(await weigh(what, Number(count)));
process.disconnect();
