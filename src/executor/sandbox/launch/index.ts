/**
 * Programs of nothing but system calls: a list of calls becomes an executable in memory (`assemble`, `openProgram`). For what a
 * child has to do to itself between its start and the program of a step, for which Node has no words. Knows nothing of steps.
 */
export { mayExecuteMemory, openProgram } from './file.ts';
export { lookupMachine } from './machine-code.ts';
export { assemble, type Call, callOf, FAILURE, type Place, REPORT_BYTES, REPORT_FD, report } from './program.ts';
