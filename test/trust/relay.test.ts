import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createPrng } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { openRelay } from "./relay.ts";

const HOST = "127.0.0.1";

interface End extends AsyncDisposable {
  readonly port: number;
  readonly heard: readonly string[];
  send(text: string, port: number): void;
}

async function openEnd(): Promise<End> {
  const socket: Socket = createSocket("udp4");
  const heard: string[] = [];
  socket.on("message", (datagram) => heard.push(String(datagram)));
  socket.bind(0, HOST);
  await once(socket, "listening");
  return {
    port: socket.address().port,
    heard,
    send: (text, port) => socket.send(text, port, HOST),
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}

test("who is not the device of a way is neither passed on nor sent what is for it", async () => {
  await using gateway = await openEnd();
  await using device = await openEnd();
  await using stranger = await openEnd();
  await using relay = openRelay(gateway.port, createPrng(1));
  const way = await relay.open();
  way.serve(device.port);
  device.send("hello", way.port);
  await expect.poll(() => gateway.heard).toEqual(["hello"]);
  stranger.send("me too", way.port);
  await expect.poll(() => relay.counts.strange).toBe(1);
  gateway.send("welcome", way.port);
  await expect.poll(() => device.heard).toEqual(["welcome"]);
  expect([gateway.heard, stranger.heard]).toEqual([["hello"], []]);
  expect(relay.takeRecorded().map(({ datagram }) => String(datagram))).toEqual(["hello"]);
});
