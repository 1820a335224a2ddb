// npm run build: bundles of src/ into text2pose/assets/web, or into the folder given: node build.mjs FOLDER
import {build} from 'esbuild'
import fs from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {gzipSync} from 'node:zlib'

const here = path.dirname(fileURLToPath(import.meta.url))
const out = process.argv[2] ?? path.join(here, '../text2pose/assets/web')
const three = 'three.js, MIT, see three.LICENSE.txt', ort = 'ONNX Runtime, MIT, see onnxruntime.LICENSE.txt'

const bundle = (entry, name, credit) => build({
  absWorkingDir: here,
  entryPoints: {[name]: `src/${entry}.js`},
  outdir: out,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  banner: {js: `/* text2pose, Apache-2.0; contains ${credit} */`},
  logLevel: 'warning',
})

await bundle('widget', 'widget', three)
await bundle('page', 'page', three)
await bundle('worker', 'page.worker', ort)
const copy = (from, to) => fs.copyFileSync(path.join(here, from), path.join(out, to))
copy('page.html', 'page.html')
copy('onnxruntime.LICENSE.txt', 'onnxruntime.LICENSE.txt')
copy('node_modules/three/LICENSE', 'three.LICENSE.txt')
copy('../NOTICE', 'NOTICE.txt')
const core = path.join(here, 'node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm')
fs.writeFileSync(path.join(out, 'page.wasm.gz'), gzipSync(fs.readFileSync(core), {level: 9}))
