// COPY of one file on a base of many files beside the same on scratch: node bench/big-base.mjs [FILES [DIRECTORY [PROGRAM]]]
// Makes the tar and the store in DIRECTORY (default: a temporary one). Prints processor time and peak Rss of each command (all
// processes added), and the ratio that counts. What is wanted: at most 1.2.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const files = Number(process.argv[2] ?? 500_000);
const root = process.argv[3] ?? mkdtempSync(join(tmpdir(), 'big-base-'));
const program = process.argv[4] ?? join(here, '../dist/tsbuild.js');
const FILES_IN_ONE = 100;
const ROUNDS = 5;
const BLOCK = 512;

function header(name, type) {
  const block = Buffer.alloc(BLOCK);
  const fields = [
    [0, name],
    [100, type === '5' ? '0000755' : '0000644'],
    [108, '0000000'],
    [116, '0000000'],
    [124, '00000000000'],
    [136, '14500000000'],
    [148, '        '],
    [156, type],
    [257, 'ustar\x0000'],
  ];
  for (const [at, text] of fields) block.write(text, at, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Empty files, 100 in a directory; the kind of names that packages have. */
function makeTar(path) {
  const file = openSync(path, 'w');
  let blocks = [header('usr/', '5'), header('usr/lib/', '5')];
  for (let n = 0; n < files; n++) {
    const directory = `usr/lib/package-${Math.floor(n / FILES_IN_ONE)}`;
    if (n % FILES_IN_ONE === 0) blocks.push(header(`${directory}/`, '5'));
    blocks.push(header(`${directory}/module-${n}.js`, '0'));
    if (blocks.length < 2048) continue;
    writeSync(file, Buffer.concat(blocks));
    blocks = [];
  }
  writeSync(file, Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]));
  closeSync(file);
}

/** Peak Rss of tsbuild with these arguments, in MiB. */
function memoryOf(args) {
  const { status, stderr } = spawnSync(process.execPath, [join(here, 'memory.mjs'), ...commandOf(args)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tsbuild ${args.join(' ')}: ${stderr}`);
  return Number(/Rss (\d+) MiB/.exec(stderr)?.[1]);
}

/** Its time in ms: of the clock, and of the processor. */
function timeOf(args) {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" >&2';
  const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', ...commandOf(args)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tsbuild ${args.join(' ')}: ${stderr}`);
  const [wall, user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number);
  return { wall: 1000 * wall, cpu: 1000 * (user + system) };
}

const commandOf = (args) => [process.execPath, program, ...args, '--root', join(root, 'store')];

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const show = (what, { wall, cpu }, memory) =>
  console.log(`${what.padEnd(40)} ${wall.toFixed(0).padStart(6)} ms ${cpu.toFixed(0).padStart(6)} ms of processor ${memory === undefined ? '' : `${memory} MiB`}`);

/** Builds twice as often as needed, the bases in turn: each round with a file that nobody saw before. */
function compare(bases) {
  const runs = bases.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    bases.forEach((base, index) => {
      writeContext(base, `${base} ${round} ${process.pid}`);
      runs[index].push(timeOf(build(base)));
    });
  }
  return runs.map((times) => ({ wall: median(times.map(({ wall }) => wall)), cpu: median(times.map(({ cpu }) => cpu)) }));
}

const build = (base) => ['build', '-t', `on-${base}`, join(root, base)];

function writeContext(base, text) {
  mkdirSync(join(root, base), { recursive: true });
  writeFileSync(join(root, base, 'Containerfile'), `FROM ${base}\nCOPY file /usr/lib/package-1/file\n`);
  writeFileSync(join(root, base, 'file'), text);
}

mkdirSync(root, { recursive: true });
const tar = join(root, `${files}.tar`);
if (!existsSync(tar)) makeTar(tar);
rmSync(join(root, 'store'), { recursive: true, force: true });
show('import', timeOf(['import', tar, 'other']));
rmSync(join(root, 'store'), { recursive: true, force: true });
console.log(`import: ${memoryOf(['import', tar, 'big'])} MiB`);
rmSync(join(root, 'store', 'tar-index'), { recursive: true, force: true });
writeContext('big', `first ${process.pid}`);
show('COPY, nobody looked into the base before', timeOf(build('big')));
writeContext('big', `second ${process.pid}`);
const memory = [memoryOf(build('big'))];
writeContext('scratch', `second ${process.pid}`);
memory.push(memoryOf(build('scratch')));
const [big, scratch] = compare(['big', 'scratch']);
show(`COPY on ${files} files`, big, memory[0]);
show('COPY on scratch', scratch, memory[1]);
console.log(`ratio: ${(big.wall / scratch.wall).toFixed(2)} of the clock, ${(big.cpu / scratch.cpu).toFixed(2)} of the processor`);
if (process.argv[3] === undefined) rmSync(root, { recursive: true });
