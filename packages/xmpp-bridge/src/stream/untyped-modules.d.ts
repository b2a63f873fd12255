// @xmpp/client 0.14.0 has no types of its own, and those of DefinitelyTyped lose iqs under NodeNext.
declare module "@xmpp/client" {
  export const xml: {
    /** ltx's. */
    readonly Element: new (
      name: string,
    ) => import("./element.ts").Element & {
      cnode(child: import("./element.ts").Element | string): void;
    };
  };
  export const client: (options: { readonly service: string; readonly domain: string }) => unknown;
}
