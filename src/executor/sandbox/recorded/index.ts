/**
 * Steps of a user who has one id only (docs/adr/0011): calls about owners, users and new files are answered by a supervisor
 * over seccomp user notification (`supervisor.ts`), which records owners as the layers do (`ownership.ts` there) and keeps
 * what each process believes to be (`credentials.ts`, `tickets.ts`). `Recorder` is the step's side of it. All blocking work
 * is in a thread of its own, whose entry is `serveSupervisor`.
 */
export { Recorder } from './recorder.ts';
export { SUPERVISOR, serveSupervisor } from './supervisor-thread.ts';
