import { readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second, whatever the machine (proc(5), USER_HZ). */
const MICROS_PER_TICK = 10_000;

/** Microseconds of processor time that a process has used, all its threads together. */
export function processorMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // After the name in parentheses, which may hold anything, from the third field on.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

/** MiB that a process holds in memory. */
export function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
}
