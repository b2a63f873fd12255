import type { IqAnswer, IqFailure } from "../link/link.ts";
import { type Element, Namespace } from "../stream/element.ts";
import { settleAffiliations } from "./affiliations.ts";
import {
  differences,
  formIn,
  itemsIn,
  type NodeConfig,
  offeredOf,
  type ServerForm,
  submission,
} from "./config-form.ts";
import type { Asking } from "./listing.ts";
import { titleOfChannel } from "./node-name.ts";
import type { Keeping } from "./nodes.ts";
import { ESSENTIAL, type NodeWish, wantedConfig } from "./wanted-config.ts";

/** What is asked for. */
export interface Preparation extends NodeWish {
  readonly channel: string;
  readonly node: string;
}

/** How it came out. */
export type Prepared =
  | {
      readonly is: "ready";
      readonly keeping: Keeping;
      readonly items: number;
      readonly did: "created" | "configured" | "nothing";
      /** What the server has otherwise than wanted; absent: nothing. */
      readonly deviation?: string;
      /** Somebody else's: it is as its owner has set it up. */
      readonly isForeign?: true;
    }
  | { readonly is: "failed"; readonly answer: IqFailure };

/** Asks the server, and knows what it has refused before: thousands of nodes then cost one refusal. */
export interface Server extends Asking {
  /** The form of new nodes, where it was told. */
  readonly defaults: ServerForm | undefined;
  readonly learnt: {
    /** From which rung of {@link rungs} on it takes forms. */
    rung: number;
    /** A node's own form, where forms were refused: it says which fields there are. */
    form?: ServerForm;
    /** What came of the first node made with a form, by that form. */
    readonly made: Map<string, Prepared>;
  };
}

/** Conditions with which servers turn down a form, or one field of it. */
const FORM_REFUSED: ReadonlySet<string> = new Set([
  "bad-request",
  "conflict",
  "feature-not-implemented",
  "not-acceptable",
  "resource-constraint",
]);

/** The same configuration with ever less in it, for servers that know a field not, or allow fewer items. */
function rungs(config: NodeConfig): readonly NodeConfig[] {
  const { max_items: items, ...without } = config;
  // Not `max`: read back it says no number, and one must know when `current` is evicted.
  const fewer = FEWER_ITEMS.map((max) => ({
    ...config,
    max_items: String(Math.min(max, Number(items ?? 0))),
  }));
  return [config, ...(items === undefined ? FEWER_ITEMS.map(() => config) : fewer), without];
}

/** Tried where a server allows no longer history. As packaged ejabberd keeps 1000 and Prosody 256. */
const FEWER_ITEMS = [1_000, 256, 100, 20];

/** Conditions with which servers say that nodes are made, or set up, by others. */
const DENIED: ReadonlySet<string> = new Set(["forbidden", "not-allowed"]);
const isDenied = (answer: IqAnswer): boolean => answer.is === "error" && DENIED.has(answer.condition);

/** Makes a node or, where it is there, sets it up; reads back what came of it. */
export async function prepareNode(server: Server, wish: Preparation): Promise<Prepared> {
  const { made, form } = await createNode(server, wish);
  if (made.is === "result") return await readBackMade(server, wish, form);
  // Prosody denies it to whoever may make none, whether the node is there or not.
  const mayBeThere = made.is === "error" && (made.condition === "conflict" || isDenied(made));
  if (!mayBeThere) return { is: "failed", answer: made };
  const there = await checkNode(server, wish, "stop");
  const isAbsent =
    there.is === "failed" && there.answer.is === "error" && there.answer.condition === "item-not-found";
  // ejabberd says so; who may not make it is told that, and is not sent to look again.
  return isAbsent && isDenied(made) ? { is: "failed", answer: made } : there;
}

/** Looks at a node that was there before; `create`: makes it if it is gone. */
export async function checkNode(
  server: Server,
  wish: Preparation,
  whenGone: "create" | "stop" = "create",
): Promise<Prepared> {
  const answer = await server.ask(server.requests.configuration(wish.node));
  if (answer.is === "error") {
    if (answer.condition === "item-not-found" && whenGone === "create")
      return await prepareNode(server, wish);
    if (isDenied(answer)) return await unknownNode(server, wish, answer);
  }
  if (answer.is !== "result") return { is: "failed", answer };
  const form = configurationIn(answer.stanza);
  if (form === undefined) return unkept("no form");
  const wanted = wantedConfig(wish.channel, { ...wish, keeping: keepingOf(wish.keeping, form) });
  const changes = offeredOf(differences(wanted, form), form);
  if (Object.keys(changes).length > 0) {
    const changed = await configureNode(server, wish.node, changes);
    if (isDenied(changed)) return foreignNode(wish, form);
    if (changed.is !== "result") return { is: "failed", answer: changed };
    return await readBack(server, wish, "configured");
  }
  return await finish(server, { wish, form, did: "nothing" });
}

/** A node whose configuration is not for us: there, or not. */
async function unknownNode(server: Server, wish: Preparation, denied: IqFailure): Promise<Prepared> {
  const info = await server.ask(server.requests.info(wish.node));
  if (info.is === "result") return foreignNode(wish);
  const isAbsent = info.is === "error" && info.type !== "wait";
  return { is: "failed", answer: isAbsent ? denied : info };
}

/**
 * Somebody else's node, of which we are publisher at most: whether we may publish there, its server says at the first item.
 * One that must keep readers out is not used: its owner lets in whom they like.
 */
function foreignNode(wish: Preparation, form?: ServerForm): Prepared {
  if (wish.access.members !== undefined) return { is: "failed", answer: NOT_OURS };
  // Without a form nothing is known of its room.
  const items = form === undefined ? 1 : (itemsIn(form) ?? wish.history + 1);
  return { is: "ready", keeping: wish.keeping, items, did: "nothing", isForeign: true };
}

const NOT_OURS: IqFailure = {
  ...{ is: "error", type: "auth", condition: "not-owner" },
  text: "xmpp.access names members, and the node is somebody else's",
};

async function createNode(
  server: Server,
  wish: Preparation,
): Promise<{ readonly made: IqAnswer; readonly form: string }> {
  const wanted = wantedConfig(wish.channel, wish);
  const { defaults, learnt, requests } = server;
  const fields = learnt.form ?? defaults;
  const config = fields === undefined ? wanted : offeredOf(wanted, fields);
  const forms = [...rungs(config).map((each) => submission(each)), undefined];
  let sent = "";
  const made = await descend(server, forms, (form) => {
    sent = String(form);
    return requests.create(wish.node, form);
  });
  return { made, form: sent };
}

async function configureNode(server: Server, node: string, changes: NodeConfig): Promise<IqAnswer> {
  const forms = rungs(changes).map((each) => submission(each));
  return await descend(server, forms, (form) => server.requests.configure(node, form));
}

/** Tries one form after the other, from where the server began to take them. */
async function descend<Form>(
  server: Server,
  forms: readonly Form[],
  iq: (form: Form) => Element,
): Promise<IqAnswer> {
  let answer: IqAnswer = { is: "aborted" };
  for (let at = Math.min(server.learnt.rung, forms.length - 1); at < forms.length; at += 1) {
    // Below the length: `at` is looked at.
    const form = forms[at] as Form;
    const isRefused = answer.is === "error" && String(form) === String(forms[at - 1]);
    if (isRefused) continue;
    answer = await server.ask(iq(form));
    if (answer.is === "result" && forms[at] !== undefined) server.learnt.rung = at;
    // A plain conflict says that the node is there; with `precondition-not-met` the form was meant. The type says nothing:
    // ejabberd refuses fields and values as if one only had to wait.
    const isForm = answer.is === "error" && FORM_REFUSED.has(answer.condition);
    if (!isForm || (answer.is === "error" && answer.condition === "conflict" && answer.pubsub === undefined))
      return answer;
  }
  return answer;
}

/**
 * Prosody takes four times as long to tell a configuration as to take an item. A server that made one node of a form makes
 * the next of it the same: looked at each time is only what has readers, publishers or a title of its own.
 */
async function readBackMade(server: Server, wish: Preparation, form: string): Promise<Prepared> {
  const { members, publishers } = wish.access;
  const isAlike = (members ?? publishers ?? titleOfChannel(wish.channel)) === undefined;
  const { made } = server.learnt;
  const before = made.get(form);
  if (isAlike && before !== undefined) return before;
  const fields = server.learnt.form;
  const prepared = await readBack(server, wish, "created");
  // Not where more was set than the form said.
  if (isAlike && server.learnt.form === fields && prepared.is === "ready") made.set(form, prepared);
  return prepared;
}

async function readBack(server: Server, wish: Preparation, did: "created" | "configured"): Promise<Prepared> {
  const answer = await server.ask(server.requests.configuration(wish.node));
  if (answer.is !== "result") return { is: "failed", answer };
  const form = configurationIn(answer.stanza);
  if (form === undefined) return unkept("no form");
  if (did === "configured") return await finish(server, { wish, form, did });
  // Made with less than wanted: what the node's own form offers may still be set.
  const missing = offeredOf(differences(wantedConfig(wish.channel, wish), form, true), form);
  if (Object.keys(missing).length === 0) return await finish(server, { wish, form, did });
  server.learnt.form = form;
  const changed = await configureNode(server, wish.node, missing);
  if (changed.is !== "result") return await finish(server, { wish, form, did });
  const again = await server.ask(server.requests.configuration(wish.node));
  if (again.is !== "result") return { is: "failed", answer: again };
  return await finish(server, { wish, form: configurationIn(again.stanza) ?? form, did });
}

interface Outcome {
  readonly wish: Preparation;
  readonly form: ServerForm;
  readonly did: "created" | "configured" | "nothing";
}

async function finish(server: Server, { wish, form, did }: Outcome): Promise<Prepared> {
  const untitled = await entitle(server, wish, form);
  if (untitled !== undefined) return { is: "failed", answer: untitled };
  const keeping = keepingOf(wish.keeping, form);
  const wanted = wantedConfig(wish.channel, { ...wish, keeping });
  const left = Object.entries(differences(wanted, form));
  const said = left
    .map(([name, value]) => `${name}: ${form.values.get(name)} instead of ${value}`)
    .join(", ");
  if (left.some(([name]) => ESSENTIAL.has(name))) return unkept(said);
  const affiliated = await settleAffiliations(server, {
    node: wish.node,
    access: wish.access,
    isNew: did === "created",
  });
  if (affiliated !== undefined && isDenied(affiliated) && did === "nothing") return foreignNode(wish, form);
  if (affiliated !== undefined) return { is: "failed", answer: affiliated };
  const items = itemsIn(form) ?? (keeping === "state" ? 1 : wish.history + 1);
  return { is: "ready", keeping, items, did, ...(said === "" ? {} : { deviation: said.slice(0, 500) }) };
}

/** ejabberd keeps a title and tells it, but has no field for it in any form before a node has one. */
async function entitle(server: Server, wish: Preparation, form: ServerForm): Promise<IqFailure | undefined> {
  const { title } = wantedConfig(wish.channel, wish);
  if (title === undefined || form.values.has("title")) return undefined;
  const answer = await server.ask(server.requests.configure(wish.node, submission({ title })));
  // Who has none at all is lived with: the node is found by who knows its channel.
  return answer.is === "result" || answer.is === "error" ? undefined : answer;
}

/** A node that holds more than one item holds events: it never goes back. */
function keepingOf(wanted: Keeping, form: ServerForm): Keeping {
  const items = itemsIn(form);
  return wanted === "history" || (items !== undefined && items <= 1) ? wanted : "history";
}

const unkept = (text: string): Prepared => ({
  is: "failed",
  answer: { is: "error", type: "cancel", condition: "configuration-not-kept", text: text.slice(0, 500) },
});

const configurationIn = (stanza: Element): ServerForm | undefined =>
  formIn(stanza.getChild("pubsub", Namespace.pubsubOwner)?.getChild("configure"));
