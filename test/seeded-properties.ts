import fc from "fast-check";

/**
 * A property draws the same cases in each run: a run tells whether a change is right, not whether the draw was lucky.
 * `NOMQ_SEED` draws others. A property that gives a seed of its own keeps it.
 */
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env["NOMQ_SEED"] ?? 1) });
