// Preloaded into a run of the program (`node --require`): when it ends, what V8 compiled meanwhile is kept beside it.
const vm = require('node:vm');
const { writeFileSync } = require('node:fs');

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    const file = options.filename.replace(/\.cjs$/, '.cache');
    process.on('exit', () => writeFileSync(file, this.createCachedData()));
  }
};
