// @xmpp/client 0.14.0 has no types of its own, and those of DefinitelyTyped lose iqs under NodeNext.
declare module "@xmpp/client" {
  export const xml: (
    name: string,
    attributes?: Readonly<Record<string, string | undefined>>,
    ...children: readonly unknown[]
  ) => unknown;
  export const client: (options: { readonly service: string; readonly domain: string }) => unknown;
}
