declare module "@xmpp/xml" {
  export class Parser {
    on(event: "element", receive: (element: import("../src/stream/element.ts").Element) => void): void;
    on(event: "error", receive: (error: Error) => void): void;
    write(data: string): void;
  }
}
