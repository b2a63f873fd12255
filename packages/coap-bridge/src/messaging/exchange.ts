import type { Answer } from "./messaging.ts";
import type { Request } from "./request.ts";
import { WheelTimer } from "./timing-wheel.ts";

/**
 * Where a request stands that was not answered at once: being served; answered, and spread over the leisure of a
 * multicast request; answered, and waiting for its address to prove itself; over.
 */
export type ExchangeStage = "serving" | "leisure" | "proving" | "over";

/** A request that was not answered at once. */
export class Exchange extends WheelTimer {
  readonly request: Request;
  readonly #due: (exchange: Exchange) => void;
  stage: ExchangeStage = "serving";
  /** An empty acknowledgement has gone: the answer goes separately. */
  acknowledged = false;
  answer: Answer | undefined;

  constructor(request: Request, due: (exchange: Exchange) => void) {
    super();
    this.request = request;
    this.#due = due;
  }

  fire(): void {
    this.#due(this);
  }
}
