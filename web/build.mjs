// npm run build: bundles of src/ into text2pose/assets/web, or into the folder given: node build.mjs FOLDER
import {build} from 'esbuild'
import fs from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'

const here = path.dirname(fileURLToPath(import.meta.url))
const out = process.argv[2] ?? path.join(here, '../text2pose/assets/web')

await build({
  absWorkingDir: here,
  entryPoints: {widget: 'src/widget.js'},
  outdir: out,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  banner: {js: '/* text2pose, Apache-2.0; contains three.js, MIT, see three.LICENSE.txt */'},
  logLevel: 'warning',
})
fs.copyFileSync(path.join(here, 'node_modules/three/LICENSE'), path.join(out, 'three.LICENSE.txt'))
