// Preloaded into a run of the program (`node --require`): when it ends, what V8 compiled meanwhile is kept beside it. In the
// arguments `REGISTRY` stands for a registry that has everything.
const { writeFileSync } = require('node:fs');
const http = require('node:http');
const v8 = require('node:v8');
const vm = require('node:vm');

// V8 refuses what was compiled under other flags than those of the start
v8.setFlagsFromString = () => undefined;

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    const file = options.filename.replace(/\.cjs$/, '.cache');
    process.on('exit', () => writeFileSync(file, this.createCachedData()));
  }
};

const registry = http.createServer(({ method }, response) => response.writeHead(method === 'PUT' ? 201 : 200).end());
registry.listen(0); // without a name to look up it is bound at once
const { port } = registry.address();
process.argv = process.argv.map((arg) => arg.replace('REGISTRY', `127.0.0.1:${port}`));
