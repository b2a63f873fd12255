import { StringDecoder } from "node:string_decoder";

/** All of standard input. */
export async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Its lines, without their ends; read as they are asked for. */
export async function* stdinLines(): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  // A line may come in many pieces: they are joined once.
  let open: string[] = [];
  for await (const chunk of process.stdin) {
    const [first = "", ...rest] = decoder.write(chunk).split("\n");
    open.push(first);
    for (const next of rest) {
      yield open.join("");
      open = [next];
    }
  }
  const last = open.join("") + decoder.end();
  if (last !== "") yield last;
}
