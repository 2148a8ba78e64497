import { Command } from 'commander';
import { BuildError, type StateUsage, type StateVerification } from '../../index.ts';
import { formatSize, formatTable } from '../render/format.ts';
import { selfCommand } from '../session.ts';
import { type Registrar, withExamples } from './command.ts';
import { runOnStore } from './store.ts';

/** `tsbuild store`: the state directory itself. */
export function storeCommand(registrar: Registrar): Command {
  const command = new Command('store').description('look after the state directory');
  return command.addCommand(dfCommand(registrar)).addCommand(verifyCommand(registrar));
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

function dfCommand(registrar: Registrar): Command {
  const command = new Command('df')
    .description('print what the state directory holds, and what prune would free')
    .option('--json', 'as JSON, with sizes in bytes');
  withExamples(command, ['tsbuild store df']);
  return command.action(async (flags: { readonly json?: boolean }) => {
    await runOnStore(registrar, command, async ({ options }, { host, operations }) => {
      const usage = await operations.stateUsage({ ...options, self: selfCommand(host) });
      if ('kind' in usage) return usage.exitCode;
      return flags.json ? json(usage) : usageTable(usage);
    });
  });
}

function usageTable({ root, lines, freedBytes, freedByAllBytes }: StateUsage): string {
  const total = lines.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = lines.map(({ what, count, bytes }) => [what, String(count), formatSize(bytes)]);
  const table = formatTable([['WHAT', 'COUNT', 'SIZE'], ...rows, ['total', '', formatSize(total)]]);
  const freed = `"tsbuild prune" would free ${formatSize(freedBytes)}, "tsbuild prune -a" ${formatSize(freedByAllBytes)}`;
  return `${root}\n\n${table}\n${freed}\n`;
}

function verifyCommand(registrar: Registrar): Command {
  const command = new Command('verify')
    .description('compare every blob, layer and record with what it claims to be; reads all bytes')
    .option('--repair', 'remove what is damaged where it can be made or fetched again')
    .option('--json', 'as JSON');
  withExamples(command, ['tsbuild store verify', 'tsbuild store verify --repair']);
  return command.action(
    async ({ repair = false, json: asJson }: { readonly repair?: boolean; readonly json?: boolean }) => {
      await runOnStore(registrar, command, async ({ options }, { host, operations }) => {
        const found = await operations.verifyState({ repair }, { ...options, self: selfCommand(host) });
        if ('kind' in found) return found.exitCode;
        host.stdout.write(asJson ? json(found) : report(found));
        const open = found.problems.filter(({ isRepaired }) => !isRepaired);
        if (open.length === 0) return '';
        const hint = open.map(({ next }) => next).find((next) => next !== undefined);
        throw new BuildError(
          'E_CORRUPT_STORE',
          `${open.length} of ${found.problems.length} problems remain in the store`,
          { hint },
        );
      });
    },
  );
}

function report({ checked, problems }: StateVerification): string {
  const lines = problems.map(
    ({ subject, message, isRepaired }) => `${isRepaired ? 'repaired' : 'damaged'}: ${subject}: ${message}\n`,
  );
  const { blobs, layers, records, images } = checked;
  const summary = `${blobs} blobs, ${layers} layers, ${records} records and ${images} images checked`;
  return `${lines.join('')}${summary}: ${problems.length === 0 ? 'all is well' : `${problems.length} problems`}\n`;
}
