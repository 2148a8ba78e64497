import fc from 'fast-check';

/** Every run tries the same random inputs, so that a change is judged by itself; `FUZZ_SEED=NUMBER` tries others. */
fc.configureGlobal({ seed: Number(process.env.FUZZ_SEED ?? 20261124) });
