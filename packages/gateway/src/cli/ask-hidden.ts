const END = new Set(["\r", "\n", "\u0004"]);
const BACKSPACE = new Set(["\u007f", "\b"]);
const INTERRUPT = "\u0003";
const ESCAPE = "\u001b";
const MOST = 1_024;

/** Asks at the terminal and reads a line that it does not show. Ctrl-C ends the program, as ever. */
export async function askHidden(question: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding("utf8");
  stdin.resume();
  const typed: string[] = [];
  try {
    return await new Promise<string>((resolve) => {
      const take = (chunk: string): void => {
        // Keys such as the arrows: they are no text.
        if (chunk.startsWith(ESCAPE)) return;
        for (const key of chunk) {
          if (key === INTERRUPT) process.kill(process.pid, "SIGINT");
          else if (END.has(key)) {
            stdin.off("data", take);
            resolve(typed.join(""));
            return;
          } else if (BACKSPACE.has(key)) typed.pop();
          else if (typed.length < MOST) typed.push(key);
        }
      };
      stdin.on("data", take);
    });
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}
