import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { FromMeasured, Load, ToMeasured } from "./messages.ts";

/** A process that tells how late its event loop was, and what it worked. */
export interface MeasuredProcess extends AsyncDisposable {
  readonly nomqPort: number;
  readonly mqttPort: number;
  /** Resolves when its store has been read through. */
  readonly recovered: Promise<unknown>;
  /** Measures while the work runs. */
  during(work: Promise<unknown>): Promise<Load>;
}

/** Starts a gateway of that configuration, or an idle loop. */
export async function startMeasured(config?: string): Promise<MeasuredProcess> {
  const file = new URL("gateway-process.ts", import.meta.url);
  const child = fork(file, config === undefined ? [] : [config], {
    execArgv: ["--conditions=@nomq/source"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const recovered = answer(child, "recovered");
  // Nobody may wait for it.
  recovered.catch(() => undefined);
  const ready = await answer(child, "ready");
  const tell = (message: ToMeasured): void => void child.send(message);
  return {
    nomqPort: ready.nomqPort,
    mqttPort: ready.mqttPort,
    recovered,
    during: async (work) => {
      tell({ is: "begin" });
      await work;
      const load = answer(child, "load");
      tell({ is: "end" });
      return await load;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.disconnect();
      await gone;
    },
  };
}

async function answer<K extends FromMeasured["is"]>(
  child: ChildProcess,
  is: K,
): Promise<FromMeasured & { is: K }> {
  const { promise, resolve, reject } = Promise.withResolvers<FromMeasured & { is: K }>();
  const ended = (): void => reject(new Error("a measured process ended"));
  const told = (message: FromMeasured): void => {
    // The kind was just compared.
    if (message.is === is) resolve(message as FromMeasured & { is: K });
  };
  child.on("message", told).on("exit", ended);
  try {
    return await promise;
  } finally {
    child.off("message", told).off("exit", ended);
  }
}
