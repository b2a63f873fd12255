import type { PeerKind } from "../../session/peer-kind.ts";
import type { Endpoint } from "../../transport.ts";

/** A peer as the application sees it. */
export interface NomqPeer {
  /** The known peer's name, else `HOST:PORT`. */
  readonly id: string;
  /** Whether configuration names it. */
  readonly known: boolean;
  readonly address: Endpoint;
  /** Id of the key it was last heard with. */
  readonly key: string;
  readonly kind: PeerKind;
}
