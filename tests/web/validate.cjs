// node validate.cjs NODE_MODULES FILE: Khronos' validator's report on a GLB, as JSON.
const [modules, file] = process.argv.slice(2);
require(modules + '/gltf-validator').validateBytes(new Uint8Array(require('fs').readFileSync(file)))
  .then(report => console.log(JSON.stringify(report)), e => { console.error(String(e)); process.exit(1) });
