import type { StageInstruction } from '../parser/index.ts';
import {
  lowerCmd,
  lowerEntrypoint,
  lowerExpose,
  lowerHealthcheck,
  lowerMaintainer,
  lowerOnbuild,
  lowerShell,
  lowerStopsignal,
  lowerUser,
  lowerVolume,
  lowerWorkdir,
} from './config-instructions.ts';
import { lowerCopy } from './copy.ts';
import { lowerArg, lowerEnv, lowerLabel } from './declarations.ts';
import { lowerRun } from './run.ts';
import type { StageState } from './stage-state.ts';
import type { StepContext } from './step-context.ts';

/** The stage after one more instruction. */
export function lowerInstruction(instruction: StageInstruction, state: StageState, context: StepContext): StageState {
  switch (instruction.kind) {
    case 'RUN':
      return lowerRun(instruction, state, context);
    case 'COPY':
    case 'ADD':
      return lowerCopy(instruction, state, context);
    case 'ENV':
      return lowerEnv(instruction, state, context);
    case 'LABEL':
      return lowerLabel(instruction, state, context);
    case 'ARG':
      return lowerArg(instruction, state, context);
    case 'WORKDIR':
      return lowerWorkdir(instruction, state, context);
    case 'USER':
      return lowerUser(instruction, state, context);
    case 'EXPOSE':
      return lowerExpose(instruction, state, context);
    case 'VOLUME':
      return lowerVolume(instruction, state, context);
    case 'ENTRYPOINT':
      return lowerEntrypoint(instruction, state);
    case 'CMD':
      return lowerCmd(instruction, state);
    case 'SHELL':
      return lowerShell(instruction, state);
    case 'STOPSIGNAL':
      return lowerStopsignal(instruction, state, context);
    case 'HEALTHCHECK':
      return lowerHealthcheck(instruction, state);
    case 'ONBUILD':
      return lowerOnbuild(instruction, state);
    case 'MAINTAINER':
      return lowerMaintainer(instruction, state);
    default:
      return instruction satisfies never;
  }
}
