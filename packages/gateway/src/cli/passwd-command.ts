import { nameFault } from "../access/accounts.ts";
import { hashPassword, passwordFault } from "../access/index.ts";
import { askHidden } from "./ask-hidden.ts";
import { readStdin } from "./stdin.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `nomq passwd`. */
export interface PasswdOptions {
  readonly user?: string;
  readonly json?: boolean;
}

/** `nomq passwd`: 1 for a password that must not be taken, with the reason. */
export async function runPasswd({ user, json }: PasswdOptions): Promise<number> {
  const fault = user === undefined ? undefined : nameFault(user);
  if (fault !== undefined) throw new UsageError(`--user ${fault}`);
  const password = await newPassword();
  if (password === undefined) {
    process.stderr.write("the two passwords differ; nothing was made\n");
    return 1;
  }
  const weak = passwordFault(password, user ?? "");
  if (weak !== undefined) {
    process.stderr.write(`the password ${weak}; nothing was made\n`);
    return 1;
  }
  const hash = await hashPassword(password);
  if (json === true) {
    process.stdout.write(
      `${JSON.stringify({ ...(user === undefined ? {} : { name: user }), password: hash })}\n`,
    );
    return 0;
  }
  process.stdout.write(
    user === undefined ? `${hash}\n` : `- { name: ${JSON.stringify(user)}, password: "${hash}" }\n`,
  );
  if (user !== undefined) process.stderr.write("put this line under access: users: in gateway.yaml\n");
  return 0;
}

/** Asked for twice at a terminal, else the first line of standard input; undefined: the two differ. */
async function newPassword(): Promise<string | undefined> {
  if (!process.stdin.isTTY) {
    const [line = ""] = (await readStdin()).toString("utf8").split(/\r?\n/, 1);
    return line;
  }
  const first = await askHidden("New password: ");
  return (await askHidden("Again: ")) === first ? first : undefined;
}
