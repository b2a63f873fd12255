import { element } from "../stream/build.ts";
import { type Element, Namespace } from "../stream/element.ts";

/** The form of a node's configuration (XEP-0060 section 16.4.4). */
const NODE_CONFIG = "http://jabber.org/protocol/pubsub#node_config";

/** More fields than any server has: the rest of a form is not read. */
const MOST_FIELDS = 256;

const plain = (value: string): string => BOOLEANS.get(value) ?? value;

/** Values by field, without the `pubsub#` that each has in front. */
export type NodeConfig = Readonly<Record<string, string>>;

/** A form as the server sent it. */
export interface ServerForm {
  /** First values by field. */
  readonly values: ReadonlyMap<string, string>;
  /** Of fields that are a choice: what may be chosen. */
  readonly choices: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A form to be submitted. */
export function submission(config: NodeConfig): Element {
  const fields = Object.entries(config).map(([name, value]) => field(`pubsub#${name}`, value));
  return element("x", { xmlns: Namespace.forms, type: "submit" }, [
    element("field", { var: "FORM_TYPE", type: "hidden" }, [element("value", {}, [NODE_CONFIG])]),
    ...fields,
  ]);
}

const field = (name: string, value: string): Element =>
  element("field", { var: name }, [element("value", {}, [value])]);

/** The form somewhere in an answer's payload: of `configure`, `default`, or disco's metadata. */
export function formIn(container: Element | undefined): ServerForm | undefined {
  const form = container?.getChild("x", Namespace.forms);
  if (form === undefined) return undefined;
  const values = new Map<string, string>();
  const choices = new Map<string, ReadonlySet<string>>();
  for (const each of form.getChildren("field").slice(0, MOST_FIELDS)) {
    const name = each.attrs["var"];
    if (name?.startsWith("pubsub#") !== true) continue;
    const key = name.slice("pubsub#".length);
    values.set(key, each.getChild("value")?.getText() ?? "");
    const offered = each.getChildren("option").map((option) => option.getChild("value")?.getText() ?? "");
    if (offered.length > 0) choices.set(key, new Set(offered));
  }
  return { values, choices };
}

/** What of a configuration the server has fields and choices for: ejabberd refuses a form with any other. */
export function offeredOf(config: NodeConfig, form: ServerForm): NodeConfig {
  return Object.fromEntries(
    Object.entries(config).filter(([name, value]) => {
      const choices = form.choices.get(name);
      return form.values.has(name) && (choices === undefined || choices.has(value));
    }),
  );
}

/**
 * Fields that a node has otherwise than wanted. One that the form lacks is none: no server can be asked about it. Room for
 * more items than wanted is none either, but on a node that was made just now.
 */
export function differences(wanted: NodeConfig, form: ServerForm, isNew = false): NodeConfig {
  return Object.fromEntries(
    Object.entries(wanted).filter(([name, value]) => {
      const has = form.values.get(name);
      return has !== undefined && (isNew ? value !== plain(has) : !isSame(name, value, has));
    }),
  );
}

function isSame(name: string, wanted: string, has: string): boolean {
  if (wanted === has) return true;
  if (name === "max_items") return has === "max" || Number(has) >= Number(wanted);
  return plain(has) === wanted;
}

/** XEP-0004 section 3.3: two ways to write each. */
const BOOLEANS: ReadonlyMap<string, string> = new Map([
  ["true", "1"],
  ["false", "0"],
]);

/** How many items a node keeps, as far as its form says so. */
export function itemsIn(form: ServerForm): number | undefined {
  if (isFalse(form.values.get("persist_items"))) return 0;
  const text = form.values.get("max_items");
  if (text === "max") return undefined;
  const items = Number(text);
  return text !== undefined && /^\d{1,9}$/.test(text) ? items : undefined;
}

const isFalse = (value: string | undefined): boolean => value === "0" || value === "false";
