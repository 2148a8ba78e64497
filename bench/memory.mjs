// The most memory that a command and everything it starts have at a time, all processes added: node bench/memory.mjs COMMAND [ARG...]
// Sampled each 30 ms. Rss counts what processes share once for each of them, Pss once in all (proc_pid_smaps(5)).
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const SAMPLE_MS = 30;
const [command, ...args] = process.argv.slice(2);
if (command === undefined) {
  console.error('usage: node bench/memory.mjs COMMAND [ARG...]');
  process.exit(2);
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

/** Process id -> that of its parent. */
function parents() {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return new Map(ids.map((id) => [Number(id), Number(/\) \S (\d+)/.exec(read(`/proc/${id}/stat`))?.[1] ?? 0)]));
}

function family(root) {
  const above = parents();
  const isOurs = (id) => id === root || (above.has(id) && above.get(id) > 1 && isOurs(above.get(id)));
  return [...above.keys()].filter(isOurs);
}

const kilobytes = (text, name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);

const most = { Rss: 0, Pss: 0, processes: 0 };
const child = spawn(command, args, { stdio: ['inherit', 'inherit', 'inherit'] });
const timer = setInterval(() => {
  const rollups = family(child.pid).map((id) => read(`/proc/${id}/smaps_rollup`));
  for (const name of ['Rss', 'Pss'])
    most[name] = Math.max(most[name], rollups.reduce((sum, text) => sum + kilobytes(text, name), 0));
  most.processes = Math.max(most.processes, rollups.filter((text) => text !== '').length);
}, SAMPLE_MS);
child.once('exit', (code) => {
  clearInterval(timer);
  const [rss, pss] = [most.Rss, most.Pss].map((kb) => Math.round(kb / 1024));
  console.error(`peak: Rss ${rss} MiB, Pss ${pss} MiB, ${most.processes} processes`);
  process.exitCode = code ?? 1;
});
