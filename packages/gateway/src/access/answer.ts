import { type Action, isValidChannel, isValidFilter, type Principal } from "@nomq/core";
import { type AccessControl, OWNER } from "./access-control.ts";
import { ruleFor } from "./advice.ts";
import { principalNamed, whoFault } from "./who.ts";

/** A question to the rules. */
export interface AccessQuestion {
  readonly who: string;
  readonly action: Action;
  /** A channel; for `subscribe` also a filter. */
  readonly channel: string;
}

/** What the rules say to it: what `nomq access explain --json` prints. */
export interface AccessAnswer extends AccessQuestion {
  /** Of a filter: whether some channel under it is. */
  readonly allowed: boolean;
  /** How much of it is allowed. */
  readonly extent: "all" | "some" | "none";
  /** The first rule that allows it: its place in `access.rules`, from 0, and its filter. */
  readonly rule?: number;
  readonly filter?: string;
  /** The line under `access: rules:` that would allow it. */
  readonly admit?: string;
  /** All of it in words. */
  readonly text: string;
}

/** What is wrong with a question; undefined: nothing. */
export function questionFault({ who, action, channel }: AccessQuestion): string | undefined {
  const fault = who === "*" ? '"*" is everyone; ask for one of them' : whoFault(who);
  if (fault !== undefined) return fault;
  if (action === "publish" && !isValidChannel(channel)) return `${JSON.stringify(channel)} is no channel`;
  return isValidFilter(channel) ? undefined : `${JSON.stringify(channel)} is no channel and no filter`;
}

/** Answers a question without fault. */
export function answerOf(control: AccessControl, asked: AccessQuestion): AccessAnswer {
  const question = { ...asked, who: principalNamed(asked.who) };
  const { action, channel } = question;
  // Its form has been checked: principals and what rules name are written alike.
  const who = question.who as Principal;
  const extent = control.extent?.(who, action, channel) ?? "none";
  const found = extent === "none" ? undefined : control.explain(who, action, channel);
  const note = strangerText(control, who) + readerText(control, question);
  const base = { ...question, allowed: extent !== "none", extent };
  if (extent === "none") {
    const admit = ruleFor(who, action, channel);
    return {
      ...base,
      admit,
      text: `denied: ${deniedText(control, question)}; this would:\n${admit}${note}`,
    };
  }
  const { rule, filter } = found ?? {};
  const by = rule === undefined || filter === undefined ? {} : { rule, filter };
  return {
    ...base,
    ...by,
    text: `allowed: ${allowedText(control, { ...question, extent, ...by })}${note}`,
  };
}

function allowedText(
  control: AccessControl,
  { who, action, channel, extent, rule, filter }: Omit<AccessAnswer, "allowed" | "text">,
): string {
  if (who === OWNER) return "the control socket belongs to the owner of the gateway, who may do everything";
  if (!control.isOn()) return "there is no access section, so whoever a listener takes may do everything";
  const what = `${who} may ${verb(action)} ${channel}`;
  const how = extent === "some" ? `${what} in part: every message is asked for again` : what;
  return rule === undefined ? how : `${how}, by access.rules[${rule}], ${action}: ${JSON.stringify(filter)}`;
}

/** Rules may name whom no account makes: nobody can be it, and a slip of the pen looks like that. */
function strangerText(control: AccessControl, who: string): string {
  const found = /^(user|token):(.*)$/s.exec(who);
  if (found === null || !control.isOn() || who === OWNER) return "";
  const [, kind, name = ""] = found;
  if (control.accounts.has(kind === "user" ? "user" : "token", name)) return "";
  return `\nnobody can be ${who}: there is no such name under access: ${kind}s:`;
}

/** Rules with `jid:` are about what comes in: nobody of XMPP reads from us. */
function readerText(control: AccessControl, { who, action }: AccessQuestion): string {
  if (action !== "subscribe" || !who.startsWith("jid:") || !control.isOn()) return "";
  return "\nwho reads the nodes of xmpp.publish is not asked of the rules: the XMPP server decides, by xmpp.access";
}

function deniedText(control: AccessControl, { who, action, channel }: AccessQuestion): string {
  const none = `no rule lets ${who} ${verb(action)} ${channel}`;
  const filters = control.filtersOf(who as Principal, action);
  if (filters.length === 0) return `${none}, nor ${verb(action)} anything`;
  const shown = filters.slice(0, 5).map((each) => JSON.stringify(each));
  const more = filters.length > shown.length ? ", …" : "";
  return `${none}; it may ${verb(action)} ${shown.join(", ")}${more}`;
}

const verb = (action: Action): string => (action === "publish" ? "publish to" : "subscribe to");
