/** An XML element as `ltx` makes them, as far as this bridge uses it. Prefixes are the sender's: look names up by namespace. */
export interface Element {
  name: string;
  /** Attributes by their written name, prefixes included. */
  attrs: Record<string, string>;
  children: (Element | string)[];
  readonly parent: Element | null;
  /** Name without its prefix. */
  getName(): string;
  /** The namespace that this element is in. */
  getNS(): string | undefined;
  /** The namespace that a prefix stands for here. */
  findNS(prefix?: string): string | undefined;
  getChild(name: string, namespace?: string): Element | undefined;
  getChildren(name: string, namespace?: string): Element[];
  getChildElements(): Element[];
  /** All text directly inside. */
  getText(): string;
  toString(): string;
}

/** Pubsub and the other namespaces that this bridge speaks. */
export const Namespace = {
  client: "jabber:client",
  delay: "urn:xmpp:delay",
  discoInfo: "http://jabber.org/protocol/disco#info",
  discoItems: "http://jabber.org/protocol/disco#items",
  forms: "jabber:x:data",
  json: "urn:xmpp:json:0",
  /** Ours: text, bytes and the attributes that carry a message's properties. */
  nomq: "urn:nomq:xmpp:0",
  ping: "urn:xmpp:ping",
  pubsub: "http://jabber.org/protocol/pubsub",
  pubsubErrors: "http://jabber.org/protocol/pubsub#errors",
  pubsubEvent: "http://jabber.org/protocol/pubsub#event",
  pubsubOwner: "http://jabber.org/protocol/pubsub#owner",
  stanzas: "urn:ietf:params:xml:ns:xmpp-stanzas",
} as const;
