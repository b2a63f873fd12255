import { join } from "node:path";

/** The control socket of a data folder. */
export const controlSocketIn = (folder: string): string => join(folder, "control.sock");
