import { BuildError } from '../errors.ts';
import type { ArgInstruction, EnvInstruction, KeyValue, LabelInstruction } from '../parser/index.ts';
import { argValue, withArg, withEnv } from './scope.ts';
import { type StageState, withConfig, withHistory } from './stage-state.ts';
import { expandIn, type StepContext } from './step-context.ts';

/** ENV, LABEL and ARG: names and values. */

type Pair = readonly [string, string];

function expandPairs(pairs: readonly KeyValue[], state: StageState, context: StepContext): Pair[] {
  return pairs.map(({ key, value }): Pair => {
    const name = expandIn(key, state, context);
    if (name !== '') return [name, expandIn(value, state, context)];
    throw new BuildError('E_EXPANSION', `The name "${key.text}" expands to nothing`, {
      hint: 'Give the variable a value, or write the name itself',
      range: key.range,
    });
  });
}

const pairText = (pairs: readonly Pair[]): string => pairs.map(([name, value]) => `${name}=${value}`).join(' ');

export function lowerEnv({ pairs }: EnvInstruction, state: StageState, context: StepContext): StageState {
  const expanded = expandPairs(pairs, state, context);
  return withHistory({ ...state, scope: withEnv(state.scope, expanded) }, `ENV ${pairText(expanded)}`);
}

export function lowerLabel({ pairs }: LabelInstruction, state: StageState, context: StepContext): StageState {
  const expanded = expandPairs(pairs, state, context);
  const labels = { ...state.config.Labels, ...Object.fromEntries(expanded) };
  return withHistory(withConfig(state, { Labels: labels }), `LABEL ${pairText(expanded)}`);
}

/** Arguments of one line see those before them: `ARG A=1 B=$A`. */
export function lowerArg({ args }: ArgInstruction, state: StageState, context: StepContext): StageState {
  const { buildArgs } = context.options;
  const texts: string[] = [];
  let current = state;
  for (const { name: written, default: word, range } of args) {
    const before = current;
    // BuildKit expands the name, too
    const name = written.includes('$') ? expandIn({ text: written, range }, before, context) : written;
    const expandDefault = word && (() => expandIn(word, before, context));
    const value = argValue(name, { buildArgs, global: context.global, ...(expandDefault ? { expandDefault } : {}) });
    current = { ...before, scope: withArg(before.scope, name, value) };
    texts.push(value === undefined ? name : `${name}=${value}`);
  }
  return withHistory(current, `ARG ${texts.join(' ')}`);
}
