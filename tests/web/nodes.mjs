// node nodes.mjs NODE_MODULES FILE TIME…: where three.js has every node of a BVH or GLB file at these times, as JSON
import fs from 'node:fs'
import {pathToFileURL} from 'node:url'

const [modules, file, ...times] = process.argv.slice(2)
const load = name => import(pathToFileURL(`${modules}/three/${name}`))
const THREE = await load('build/three.module.js')

async function readBVH() {
  const {BVHLoader} = await load('examples/jsm/loaders/BVHLoader.js')
  const {skeleton, clip} = new BVHLoader().parse(fs.readFileSync(file, 'utf8'))
  return [skeleton.bones[0], clip]
}

async function readGLB() {
  const {GLTFLoader} = await load('examples/jsm/loaders/GLTFLoader.js')
  const bytes = fs.readFileSync(file)
  const {scene, animations} = await new GLTFLoader().parseAsync(new Uint8Array(bytes).buffer, '')
  return [scene, animations[0]]
}

const [root, clip] = await (file.endsWith('.bvh') ? readBVH() : readGLB())
const mixer = new THREE.AnimationMixer(root)
if (clip) {
  const action = mixer.clipAction(clip)
  action.setLoop(THREE.LoopOnce)
  action.clampWhenFinished = true
  action.play()
}
const found = times.map(time => {
  mixer.setTime(Number(time))
  root.updateMatrixWorld(true)
  const nodes = {}
  root.traverse(o => { nodes[o.name] = new THREE.Vector3().setFromMatrixPosition(o.matrixWorld).toArray() })
  return nodes
})
console.log(JSON.stringify(found))
