import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../config/units.ts";

/** Takes the exit code of the command that ran. */
export type Finish = (code: number) => void;

/** Options that lead to a gateway's configuration and data. */
export const placed = (command: Command): Command =>
  command
    .option("-c, --config <file>", "configuration of the gateway (default: ./gateway.yaml if there)")
    .option("-d, --data <dir>", "data folder of the gateway (default: the configuration's, else ./data)");

/** Options that lead to a running gateway's control socket. */
export const atGateway = (command: Command): Command =>
  placed(command).option("--socket <file>", "control socket of the gateway, as its banner names it");

/** Options that lead to a gateway, or straight to a NoMQ peer. */
export const reaching = (command: Command): Command =>
  atGateway(command)
    .option("--nomq <url>", "straight to this NoMQ peer, udp://HOST:PORT, without a gateway")
    .option("--key <file>", "key file for --nomq (nomq keys new makes one)");

/** What a NoMQ peer is. */
export const kindOption = (): Option =>
  new Option("--kind <kind>", "what the --nomq peer is: a v1 device, or a gateway or node of ours")
    .choices(["device", "node"])
    .default("device");

/** Reads a whole number in these bounds. */
export const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const upTo = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`expected a whole number ${upTo}`);
  };

/** Reads a duration as milliseconds. */
export function span(text: string): number {
  const value = parseDuration(text);
  if (value === undefined) throw new InvalidArgumentError("expected a duration such as 60s");
  return value;
}

/** Reads a time to live, bare numbers as seconds, as milliseconds. */
export function ttl(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : parseDuration(text);
  if (value === undefined) throw new InvalidArgumentError("expected seconds, or a duration such as 60s");
  return value;
}
