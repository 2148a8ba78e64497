/** What happens to the times of the files that a build adds. */
export interface MtimeRule {
  /** Since 1970. */
  readonly seconds: number;
  /** `later`: times after it are lowered to it (SOURCE_DATE_EPOCH). `all`: every time becomes it (`--timestamp`). */
  readonly applies: 'later' | 'all';
}

/** Whether `mtime` (seconds, may have a fraction) is to be replaced by `rule.seconds`. */
export const mtimeChanges = (mtime: number, rule: MtimeRule | undefined): rule is MtimeRule =>
  rule !== undefined && (rule.applies === 'all' ? mtime !== rule.seconds : mtime > rule.seconds);

/** The time that a file gets in its layer. */
export const ruledMtime = (mtime: number, rule: MtimeRule | undefined): number =>
  mtimeChanges(mtime, rule) ? rule.seconds : mtime;
