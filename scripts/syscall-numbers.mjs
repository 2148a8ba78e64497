// Writes src/executor/sandbox/seccomp/numbers.ts from the headers of a kernel:
//
//     node scripts/syscall-numbers.mjs 7.2 DIRECTORY
//
// DIRECTORY has x86/asm/unistd_64.h, x86/asm/unistd_32.h, arm64/asm/unistd_64.h and arm/asm/unistd-eabi.h; it is
// /usr/lib/linux/uapi of Debian's linux-libc-dev. New calls come into the default profile by this: read the difference.
import { readFileSync, writeFileSync } from 'node:fs';
import { ROOT, show } from './machine.mjs';

const [version, directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: node scripts/syscall-numbers.mjs VERSION DIRECTORY');

const TABLES = {
  x86_64: 'x86/asm/unistd_64.h',
  x86: 'x86/asm/unistd_32.h',
  aarch64: 'arm64/asm/unistd_64.h',
  arm: 'arm/asm/unistd-eabi.h',
};
/** Of arch/arm/include/uapi/asm/unistd.h: private calls, and another name for one. */
const ARM_PRIVATE = { breakpoint: 0xf0001, cacheflush: 0xf0002, set_tls: 0xf0005, get_tls: 0xf0006 };

function numbersOf(file) {
  const text = readFileSync(`${directory}/${file}`, 'utf8');
  const found = [...text.matchAll(/^#define __NR_(\w+)\s+(?:\(__NR_SYSCALL_BASE \+ (\d+)\)|(\d+))$/gm)];
  return found.map(([, name, based, plain]) => [name, Number(based ?? plain)]).filter(([name]) => name !== 'syscalls');
}

/** Names in the order of their numbers; a number stands where the counting goes on from it. */
function words(pairs) {
  let next = 0;
  return pairs
    .toSorted((a, b) => a[1] - b[1])
    .flatMap(([name, number]) => {
      const jump = number === next ? [] : [String(number)];
      next = number + 1;
      return [...jump, name];
    });
}

function wrapped(list) {
  const lines = [''];
  for (const word of list) {
    if (`${lines.at(-1)} ${word}`.length > 116) lines.push('');
    lines.push(`${lines.pop()} ${word}`.trim());
  }
  return lines.join('\n  ');
}

const tables = Object.entries(TABLES).map(([name, file]) => {
  const pairs = numbersOf(file);
  const all = name === 'arm' ? [...pairs, ...Object.entries(ARM_PRIVATE)] : pairs;
  return `  ${name}: \`\n  ${wrapped(words(all))}\n  \`,`;
});
const target = `${ROOT}/src/executor/sandbox/seccomp/numbers.ts`;
writeFileSync(
  target,
  `// Written by scripts/syscall-numbers.mjs from the headers of Linux ${version}.

/**
 * System calls by architecture: names in the order of their numbers, which count up by one; a number stands where they jump.
 */
export const SYSCALL_WORDS = {
${tables.join('\n')}
} as const;
`,
);
show('npx', ['biome', 'check', '--write', target]);
