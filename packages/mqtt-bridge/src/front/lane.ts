/** Things begun in order that end at different times and must go on in order. */
export interface Lane {
  /** Takes the next place; `run` is called once that is told, after all before it. */
  enter(): (run: () => void) => void;
}

/** Makes an empty lane. */
export function createLane(): Lane {
  const waiting: { run: (() => void) | undefined }[] = [];
  return {
    enter() {
      const place: { run: (() => void) | undefined } = { run: undefined };
      waiting.push(place);
      return (run) => {
        place.run = run;
        for (let next = waiting[0]?.run; next !== undefined; next = waiting[0]?.run) {
          waiting.shift();
          next();
        }
      };
    },
  };
}
