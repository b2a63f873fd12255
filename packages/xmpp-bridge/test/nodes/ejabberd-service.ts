import type { IqAnswer } from "../../src/link/link.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";

/** How ejabberd 23.01 answers about nodes: fields, conditions and types as one wrote them (test/real/ejabberd.ts starts it). */
export interface EjabberdService {
  /** Configurations by node. */
  readonly nodes: Map<string, Map<string, string>>;
  readonly asked: string[];
  ask(iq: Element): Promise<IqAnswer>;
}

/** Fields of its `default` form. */
const EJABBERD_DEFAULTS: Readonly<Record<string, string>> = {
  access_model: "open",
  deliver_notifications: "1",
  deliver_payloads: "1",
  itemreply: "none",
  max_items: "1000",
  max_payload_size: "250000",
  notification_type: "headline",
  notify_config: "0",
  notify_delete: "0",
  notify_retract: "1",
  persist_items: "1",
  presence_based_delivery: "0",
  publish_model: "publishers",
  purge_offline: "0",
  roster_groups_allowed: "",
  send_last_published_item: "on_sub_and_presence",
  subscribe: "1",
};

/** Fields that it takes, though its form has them only once they are set, or never. */
const UNTOLD: readonly string[] = ["title", "description", "item_expire"];

const error = (type: "auth" | "cancel" | "modify" | "wait", condition: string, text?: string): IqAnswer => ({
  ...{ is: "error", type, condition },
  ...(text === undefined ? {} : { text }),
});

const FORM = "type 'http://jabber.org/protocol/pubsub#node_config'";

/** One without nodes. `lacks`: fields that it does not know; `mostItems`: above, `resource-constraint`. */
export function createEjabberdService({
  lacks = [],
  mostItems = 1_000,
  mayCreate = true,
}: {
  readonly lacks?: readonly string[];
  readonly mostItems?: number;
  readonly mayCreate?: boolean;
} = {}): EjabberdService {
  const nodes = new Map<string, Map<string, string>>();
  const asked: string[] = [];
  const known = new Set(Object.keys(EJABBERD_DEFAULTS).filter((field) => !lacks.includes(field)));
  const result = (children: readonly Element[] = []): IqAnswer => ({
    is: "result",
    stanza: element("iq", { type: "result" }, children),
  });
  const formOf = (values: ReadonlyMap<string, string>): Element =>
    element(
      "x",
      { xmlns: Namespace.forms, type: "form" },
      [...values].map(([name, value]) =>
        element("field", { var: `pubsub#${name}` }, [element("value", {}, [value])]),
      ),
    );
  const owner = (
    name: string,
    attributes: Record<string, string>,
    values: ReadonlyMap<string, string>,
  ): IqAnswer =>
    result([
      element("pubsub", { xmlns: Namespace.pubsubOwner }, [element(name, attributes, [formOf(values)])]),
    ]);
  const defaults = (): Map<string, string> =>
    new Map(Object.entries(EJABBERD_DEFAULTS).filter(([name]) => known.has(name)));
  const take = (form: Element | undefined, config: Map<string, string>): IqAnswer | undefined => {
    for (const field of form?.getChildren("field") ?? []) {
      const name = field.attrs["var"]?.replace("pubsub#", "") ?? "";
      if (name === "FORM_TYPE") continue;
      const isKnown = known.has(name) || (UNTOLD.includes(name) && !lacks.includes(name));
      if (!isKnown) return error("wait", "resource-constraint", `Unknown field 'pubsub#${name}' of ${FORM}`);
      const value = field.getChild("value")?.getText() ?? "";
      if (name === "max_items" && Number(value) > mostItems)
        return error("wait", "resource-constraint", `Bad value of field 'pubsub#max_items' of ${FORM}`);
      config.set(name, value);
    }
    return undefined;
  };
  const answer = (iq: Element): IqAnswer => {
    const [action, configure] = iq.children.flatMap((child) =>
      typeof child === "string" ? [] : child.getChildElements(),
    );
    const node = action?.attrs["node"] ?? "";
    const config = nodes.get(node);
    if (action === undefined) return error("modify", "bad-request");
    asked.push(`${iq.attrs["type"]} ${action.name}`);
    if (action.name === "default") return owner("default", {}, defaults());
    if (action.name === "create") {
      if (!mayCreate) return error("auth", "forbidden", "You're not allowed to create nodes");
      if (config !== undefined) return error("cancel", "conflict");
      const made = defaults();
      const refused = take(configure?.getChild("x"), made);
      if (refused !== undefined) return refused;
      nodes.set(node, made);
      return result();
    }
    if (config === undefined) return error("cancel", "item-not-found", "Node not found");
    if (action.name === "affiliations") return result();
    if (iq.attrs["type"] === "get") return owner("configure", { node }, config);
    return take(action.getChild("x"), config) ?? result();
  };
  return { nodes, asked, ask: async (iq) => answer(iq) };
}
