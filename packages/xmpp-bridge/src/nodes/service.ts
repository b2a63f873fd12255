import type { AbortOptions } from "@nomq/core";
import type { IqFailure, Link } from "../link/link.ts";
import { Namespace } from "../stream/element.ts";
import { formIn, type ServerForm } from "./config-form.ts";
import type { PubsubService } from "./nodes.ts";
import type { PubsubRequests } from "./pubsub-request.ts";
import type { ServiceInfo } from "./service-info.ts";

/** Answers that say that nobody serves pubsub there, or not to us. */
const ABSENT: ReadonlySet<string> = new Set([
  "feature-not-implemented",
  "item-not-found",
  "not-allowed",
  "remote-server-not-found",
  "service-unavailable",
]);

/** Form fields that ejabberd has and Prosody 0.12 has not. */
const EJABBERD_FIELDS = ["purge_offline", "presence_based_delivery"];

/** A pubsub service as it describes itself. */
export interface KnownService {
  readonly service: PubsubService;
  /** The form of new nodes; absent where it keeps that to itself. */
  readonly defaults?: ServerForm;
}

/** What asking needs. */
export interface AskServiceUse {
  readonly link: Pick<Link, "request">;
  readonly requests: PubsubRequests;
  readonly info: ServiceInfo;
}

/** Who the service is, and which fields its nodes have. */
export async function askService(
  { info: service, link, requests }: AskServiceUse,
  options: AbortOptions = {},
): Promise<KnownService> {
  const [info, form] = await Promise.all([
    service.ask(options),
    link.request(requests.defaults(), { ...options, first: true }),
  ]);
  if (info.is !== "result") return { service: withoutInfo(info) };
  const query = info.stanza.getChild("query", Namespace.discoInfo);
  const identities = query?.getChildren("identity") ?? [];
  const own = identities.find(({ attrs }) => attrs["category"] === "pubsub" && attrs["type"] === "service");
  const features = new Set(query?.getChildren("feature").map(({ attrs }) => attrs["var"]));
  if (own === undefined && !features.has(Namespace.pubsub))
    return { service: { is: "absent", reason: "no-pubsub-there" } };
  const defaults =
    form.is === "result"
      ? formIn(form.stanza.getChild("pubsub", Namespace.pubsubOwner)?.getChild("default"))
      : undefined;
  return {
    service: { is: "there", kind: kindOf(own?.attrs["name"], defaults) },
    ...(defaults === undefined ? {} : { defaults }),
  };
}

function withoutInfo(answer: IqFailure): PubsubService {
  if (answer.is === "error") {
    const isAbsent = answer.type !== "wait" && ABSENT.has(answer.condition);
    return { is: isAbsent ? "absent" : "unknown", reason: answer.condition };
  }
  return { is: "unknown", reason: answer.is };
}

/** Administrators name their services as they like; the fields of the form are the program's. */
function kindOf(
  name: string | undefined,
  defaults: ServerForm | undefined,
): "prosody" | "ejabberd" | "other" {
  if (defaults !== undefined && EJABBERD_FIELDS.some((field) => defaults.values.has(field)))
    return "ejabberd";
  return /prosody/i.test(name ?? "") ? "prosody" : "other";
}
