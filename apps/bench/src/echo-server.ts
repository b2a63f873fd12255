// A bare UDP echo in a process of its own: what the machine can do when nothing is done with a datagram.
import { createSocket } from "node:dgram";

const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
socket.on("message", (datagram, { port, address }) => socket.send(datagram, port, address));
socket.bind(0, "127.0.0.1", () => process.stdout.write(`${socket.address().port}\n`));
// Its parent's end is its own.
process.stdin.resume().on("end", () => process.exit());
