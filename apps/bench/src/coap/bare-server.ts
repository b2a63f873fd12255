// What coap-packet and a socket can do when nothing else is done: no duplicates kept, no checks, no conditions.
import { createSocket } from "node:dgram";
import { generate, type NamedOption, parse } from "coap-packet";
import { JSON_FORMAT } from "./requests.ts";

interface Observer {
  readonly token: Buffer;
  readonly port: number;
  readonly address: string;
  readonly confirmable: boolean;
}

const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
const FORMAT: NamedOption[] = [{ name: "Content-Format", value: JSON_FORMAT }];
const observers: Observer[] = [];
let value: Buffer = Buffer.alloc(0);
let order = 0;
let messageId = 0;

socket.on("message", (datagram, { port, address }) => {
  const { code, messageId: asked, token, options, payload, confirmable } = parse(datagram);
  if (code === "0.01") {
    if (options[0]?.name === "Observe") observers.push({ token, port, address, confirmable });
    const answer = { ack: true, messageId: asked, token, code: "2.05", options: FORMAT, payload: value };
    socket.send(generate(answer), port, address);
    return;
  }
  if (code !== "0.03") return;
  value = payload;
  socket.send(generate({ ack: true, messageId: asked, token, code: "2.04" }), port, address);
  order = (order + 1) & 0xffffff;
  for (const observer of observers) notify(observer);
});

function notify({ token, port, address, confirmable }: Observer): void {
  messageId = (messageId + 1) & 0xffff;
  const observe: NamedOption = { name: "Observe", value: Buffer.of(order >> 16, order >> 8, order) };
  const options = [observe, ...FORMAT];
  socket.send(
    generate({ confirmable, messageId, token, code: "2.05", options, payload: value }),
    port,
    address,
  );
}

socket.bind(0, "127.0.0.1", () => process.stdout.write(`${socket.address().port}\n`));
// Its parent's end is its own.
process.stdin.resume().on("end", () => process.exit());
