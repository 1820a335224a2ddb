// npm run build: bundles of src/ into text2pose/assets/web, or into the folder given: node build.mjs FOLDER
import {build} from 'esbuild'
import {copyFileSync, readFileSync, writeFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import path from 'node:path'
import {gzipSync} from 'node:zlib'

const here = path.dirname(fileURLToPath(import.meta.url))
const out = process.argv[2] ?? path.join(here, '../text2pose/assets/web')
const credits = {
  three: 'three.js, MIT, Copyright 2010-2026 three.js authors', ort: 'ONNX Runtime, MIT, Copyright Microsoft Corporation'}

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

await bundle('widget', 'widget', credits.three)
await bundle('page', 'page', credits.three)
await bundle('worker', 'page.worker', credits.ort)
copyFileSync(path.join(here, 'page.html'), path.join(out, 'page.html'))
const core = path.join(here, 'node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm')
writeFileSync(path.join(out, 'page.wasm.gz'), gzipSync(readFileSync(core), {level: 9}))
