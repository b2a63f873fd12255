import { type AddressCheck, type Login, type Principal, plainAddress } from "@nomq/core";
import type { IConnectPacket } from "mqtt-packet";
import { REASON } from "../front/packets.ts";

/**
 * Who may log in by name; `from` is the client's IP address. Undefined: nobody has an account here, and credentials are
 * not looked at. It must not work on the event loop for long, and bounds what it does at once.
 */
export type Authenticate = (username: string, password: string, from: string) => Promise<Login> | undefined;

/** Who a client is, or how its CONNECT is refused. */
export type Entrance =
  | {
      readonly is: "admitted";
      readonly principal: Principal;
      /** False once the account is gone or has another password. */
      readonly isValid: () => boolean;
    }
  | {
      readonly is: "refused";
      /** Counted, and said in the log. */
      readonly reason: "anonymous" | "credentials" | "throttled";
      readonly code: number;
      readonly who: string;
    };

/** Decides about a CONNECT; at once for clients without credentials. */
export type Enter = (connect: IConnectPacket, address: string) => Entrance | Promise<Entrance>;

const MOST_NAME = 100;
const ALWAYS = (): boolean => true;

/** Makes the decision of one listener: a name must fit its password, and nobody comes from where `admits` says. */
export function createEntrance(admits: AddressCheck, authenticate: Authenticate = () => undefined): Enter {
  return ({ username, password }, address) => {
    const from = plainAddress(address);
    const isNamed = username !== undefined || password !== undefined;
    const login = isNamed ? authenticate(username ?? "", String(password ?? ""), from) : undefined;
    if (login !== undefined) return login.then((result) => entranceOf(result, username ?? ""));
    const who: Principal = `addr:${from}`;
    return admits(address)
      ? { is: "admitted", principal: who, isValid: ALWAYS }
      : { is: "refused", reason: "anonymous", code: REASON.notAuthorized, who };
  };
}

function entranceOf(login: Login, username: string): Entrance {
  // Of a name that a stranger may make up.
  const who = `user:${username.slice(0, MOST_NAME)}`;
  switch (login.is) {
    case "accepted":
      return { is: "admitted", principal: login.principal, isValid: login.isValid ?? ALWAYS };
    case "refused":
      return { is: "refused", reason: "credentials", code: REASON.badUserNameOrPassword, who };
    case "later":
      return { is: "refused", reason: "throttled", code: REASON.connectionRateExceeded, who };
  }
}
