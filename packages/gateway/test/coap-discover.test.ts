import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { describeWithPeers } from "../../../test/peers.ts";
import { startCoapServer } from "../../../test/real/coap-programs.ts";
import { inspectConfig } from "../src/config/load.ts";
import { nomq } from "./launch.ts";

const discover = (...args: string[]) => nomq(["coap", "discover", ...args]).ended;
const inspect = (lines: string) =>
  inspectConfig({ name: "found", text: `version: 1\n${lines}`, folder: "." });

/** A server that answers every request with these links, in one piece. */
async function serveLinks(links: string): Promise<{ readonly url: string } & AsyncDisposable> {
  const socket = createSocket("udp4");
  socket.on("message", (datagram, { port, address }) => {
    const tokenEnd = 4 + ((datagram[0] ?? 0) & 0x0f);
    const header = Buffer.from(datagram.subarray(0, tokenEnd));
    header[0] = 0x60 | ((datagram[0] ?? 0) & 0x0f);
    header[1] = 0x45;
    // Content-Format 40, then the payload.
    socket.send(Buffer.concat([header, Buffer.of(0xc1, 40, 0xff), Buffer.from(links)]), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    url: `coap://127.0.0.1:${socket.address().port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}

describeWithPeers("nomq coap discover", ["libcoap3-bin"], () => {
  test("prints the resources of a server as a configuration that nomq check takes", async () => {
    await using server = await startCoapServer();
    const { code, stdout, stderr } = await discover(server.url(""));
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^asking coap:.*\n4 resources\n$/);
    const found = inspect(stdout);
    expect(found).toMatchObject({
      ok: true,
      config: {
        coap: {
          observe: [
            { url: server.url("time"), channel: "sensors/127.0.0.1/time" },
            { url: server.url("example_data") },
          ],
          poll: [{ url: server.url(""), every: 60_000 }, { url: server.url("async") }],
        },
      },
    });
    const filtered = await discover(`${server.url("")}?rt=ticks`, "--json");
    expect(
      filtered.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      {
        url: server.url("time"),
        channel: "sensors/127.0.0.1/time",
        observable: true,
        attributes: { rt: "ticks", if: "clock", ct: "0", title: "Internal Clock" },
      },
    ]);
  });
});

test("what a server says cannot break the configuration", async () => {
  const links = [
    '</t>;obs;title="line\nend: { } # \u001b[2J"',
    "</t>;obs",
    "</a+b/#>",
    '<rel>;rt="x"',
    "<coap://10.9.9.9/elsewhere>;obs",
    "<http://127.0.0.1/web>",
    "</%ff>",
    "</.well-known/core>",
    "</a_b/_>;obs",
  ];
  await using server = await serveLinks(links.join(","));
  const { code, stdout } = await discover(server.url);
  expect(code).toBe(0);
  expect(inspect(stdout)).toMatchObject({
    ok: true,
    config: {
      coap: {
        observe: [
          { url: `${server.url}/t`, channel: "sensors/127.0.0.1/t" },
          { url: `${server.url}/a_b/_`, channel: "sensors/127.0.0.1/a_b/_" },
        ],
        poll: [{ url: `${server.url}/rel` }],
      },
    },
  });
});

test("no answer ends it with 1, a wrong URL with 2, a signal at once", async () => {
  const silent = createSocket("udp4").bind(0, "127.0.0.1");
  await once(silent, "listening");
  try {
    const url = `coap://127.0.0.1:${silent.address().port}`;
    const late = await discover(url, "--timeout", "300ms");
    expect(late).toMatchObject({ code: 1, stdout: "" });
    expect(late.stderr).toContain("did not answer in time");
    const wrong = await discover("http://127.0.0.1/");
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    const asked = once(silent, "message");
    await using waiting = nomq(["coap", "discover", url, "--timeout", "10m"]);
    await asked;
    waiting.signal("SIGINT");
    expect(await waiting.ended).toMatchObject({ code: 1, stderr: expect.stringContaining("cancelled") });
  } finally {
    silent.close();
  }
});
