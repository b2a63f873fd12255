import type { IqFailure } from "../link/link.ts";
import { type Element, Namespace } from "../stream/element.ts";
import type { Asking } from "./listing.ts";
import type { Affiliation } from "./pubsub-request.ts";
import { type NodeAccess, wantedAffiliations } from "./wanted-config.ts";

/** More are not read: who keeps so many sets them elsewhere. */
const MOST = 10_000;

/** Gives and takes the rights at a node of ours; undefined: they are as wanted. Owners and outcasts are left alone. */
export async function settleAffiliations(
  { ask, requests }: Asking,
  { node, access, isNew }: { readonly node: string; readonly access: NodeAccess; readonly isNew: boolean },
): Promise<IqFailure | undefined> {
  const wanted = wantedAffiliations(access);
  if (isNew && wanted.length === 0) return undefined;
  const answer = await ask(requests.affiliations(node));
  // Some servers tell nobody: what is wanted is then set without looking.
  if (answer.is !== "result" && answer.is !== "error") return answer;
  const changes = changesTo(wanted, answer.is === "result" ? affiliationsIn(answer.stanza) : new Map());
  if (changes.length === 0) return undefined;
  const set = await ask(requests.affiliate(node, changes));
  return set.is === "result" ? undefined : set;
}

function affiliationsIn(stanza: Element): ReadonlyMap<string, string> {
  const list = stanza.getChild("pubsub", Namespace.pubsubOwner)?.getChild("affiliations");
  const found = new Map<string, string>();
  for (const { attrs } of (list?.getChildren("affiliation") ?? []).slice(0, MOST)) {
    const { jid, affiliation } = attrs;
    if (jid !== undefined && affiliation !== undefined) found.set(jid.toLowerCase(), affiliation);
  }
  return found;
}

function changesTo(wanted: readonly Affiliation[], has: ReadonlyMap<string, string>): Affiliation[] {
  const given = wanted.filter(({ jid, affiliation }) => {
    const now = has.get(jid.toLowerCase());
    return now !== affiliation && now !== "owner";
  });
  const kept = new Set(wanted.map(({ jid }) => jid.toLowerCase()));
  const taken = [...has]
    .filter(([jid, now]) => (now === "member" || now === "publisher") && !kept.has(jid))
    .map(([jid]) => ({ jid, affiliation: "none" as const }));
  return [...given, ...taken];
}
