import { fstatSync, type Stats } from 'node:fs';

export type FileStatus = Pick<Stats, 'uid' | 'gid' | 'mode'>;

/**
 * Owner and mode that a new file has before anybody changes them: the same for all files of a directory that are made with the
 * same mode (open(2): the umask, and the directory's setgid bit and default ACL have their say), so only the first is asked.
 */
export class FreshStatus {
  #directory: string | undefined;
  #mode = 0;
  #status: FileStatus | undefined;

  /** `mode`: what it was made with. */
  of(fd: number, directory: string, mode: number): FileStatus {
    if (this.#status === undefined || this.#directory !== directory || this.#mode !== mode) {
      const { uid, gid, mode: actual } = fstatSync(fd);
      this.#status = { uid, gid, mode: actual };
      this.#directory = directory;
      this.#mode = mode;
    }
    return this.#status;
  }

  /** To be called when a directory is made, changed or removed. */
  forget(): void {
    this.#status = undefined;
  }
}
