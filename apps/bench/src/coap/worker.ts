import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { endProcess } from "../server-process.ts";

/** A process that answers each message with one. */
export interface Worker<In, Out> extends AsyncDisposable {
  ask(message: In): Promise<Out>;
}

/** Starts a file of this folder, which says `ready` when it is. */
export async function startWorker<In extends object, Out>(file: string): Promise<Worker<In, Out>> {
  const child = fork(new URL(file, import.meta.url), { execArgv: ["--conditions=@nomq/source"] });
  await answerOf(child);
  return {
    async ask(message) {
      child.send(message);
      // What the file answers, by its own types.
      return (await answerOf(child)) as Out;
    },
    [Symbol.asyncDispose]: () => endProcess(child),
  };
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController();
  const { signal } = ended;
  const died = once(child, "exit", { signal }).then(() => {
    throw new Error(`a part of the benchmark ended with ${child.exitCode}`);
  });
  try {
    const [answer] = (await Promise.race([once(child, "message", { signal }), died])) as unknown[];
    return answer;
  } finally {
    ended.abort();
    died.catch(() => undefined);
  }
}
